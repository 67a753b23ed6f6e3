package rpc

import (
	"encoding/json"
	"reflect"
	"strings"
)

func discoverMethods() []method {
	return []method{
		define("rpc.discover", "Every method with its parameters and its result, as an OpenRPC document.", discover),
	}
}

// OpenRPC is the result of rpc.discover: a document of the OpenRPC specification.
type OpenRPC struct {
	Version    string       `json:"openrpc"`
	Info       openInfo     `json:"info"`
	Methods    []openMethod `json:"methods"`
	Components *components  `json:"components"`
}

type openInfo struct {
	Title       string `json:"title"`
	Description string `json:"description"`
	Version     string `json:"version"` // the program's
	License     struct {
		Name string `json:"name"`
	} `json:"license"`
}

type openMethod struct {
	Name      string      `json:"name"`
	Summary   string      `json:"summary"`
	Tags      []openTag   `json:"tags"`
	Structure string      `json:"paramStructure"`
	Params    []openValue `json:"params"`
	Result    openValue   `json:"result"`
}

type openTag struct {
	Name string `json:"name"`
}

// openValue is a parameter or a result.
type openValue struct {
	Name     string `json:"name"`
	Summary  string `json:"summary,omitempty"`
	Required bool   `json:"required,omitempty"`
	Schema   schema `json:"schema"`
}

// schema is a JSON Schema (draft 7).
type schema map[string]any

const openVersion = "1.3.2"

func discover(c *call) (*OpenRPC, error) {
	doc := &OpenRPC{Version: openVersion, Components: &components{Schemas: map[string]schema{}}}
	doc.Info = openInfo{
		Title: "Cairn", Version: Clean(c.Control.Version()),
		Description: "A node of the network " + c.Params.Name + ". HTTP Basic authentication with the cookie; names, codes and shapes are Bitcoin Core's where the meaning is the same.",
	}
	doc.Info.License.Name = "MIT"
	for i := range methods {
		doc.Methods = append(doc.Methods, methods[i].open(doc.Components))
	}
	return doc, nil
}

func (m *method) open(shared *components) openMethod {
	o := openMethod{Name: m.name, Summary: m.doc, Tags: []openTag{{m.group}}, Structure: "either", Params: []openValue{}}
	for _, p := range m.params {
		o.Params = append(o.Params, openValue{Name: p.name, Summary: p.doc, Required: !p.optional, Schema: p.kind.open()})
	}
	o.Result = openValue{Name: "result", Schema: shared.of(m.result)}
	return o
}

func (k kind) open() schema {
	s := schema{"description": k.name}
	switch types := strings.Fields(k.schema); len(types) {
	case 0:
	case 1:
		s["type"] = types[0]
	default:
		s["type"] = types
	}
	return s
}

// components are the schemas of the results' types, each once.
type components struct {
	Schemas map[string]schema `json:"schemas"`
}

// of is the schema of a type's JSON form.
func (c *components) of(t reflect.Type) schema {
	if s, ok := scalar(t); ok {
		return s
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schema{"oneOf": []schema{c.of(t.Elem()), {"type": "null"}}}
	case reflect.Slice:
		return schema{"type": "array", "items": c.of(t.Elem())}
	case reflect.Array:
		return schema{"type": "array", "items": c.of(t.Elem()), "minItems": t.Len(), "maxItems": t.Len()}
	case reflect.Map:
		return schema{"type": "object", "additionalProperties": c.of(t.Elem())}
	case reflect.Struct:
		return c.object(t)
	}
	return schema{}
}

// scalar is the schema of what JSON shows as one value, or as anything.
func scalar(t reflect.Type) (schema, bool) {
	if t.Kind() != reflect.Pointer && t.Kind() != reflect.Interface && t.Implements(reflect.TypeFor[json.Marshaler]()) {
		return schema{"type": "number"}, true // Amount and Seconds
	}
	if word, ok := plain(t); ok && t.Kind() != reflect.Pointer {
		return map[string]schema{
			"text": {"type": "string"}, "true or false": {"type": "boolean"}, "number": {"type": "number"},
		}[word], t.Kind() != reflect.Interface
	}
	return nil, false
}

// object refers to a struct's schema, which is made once.
func (c *components) object(t reflect.Type) schema {
	name := t.Name()
	if name == "" {
		return c.shape(t)
	}
	if _, made := c.Schemas[name]; !made {
		c.Schemas[name] = schema{} // or a type that holds itself would never end
		c.Schemas[name] = c.shape(t)
	}
	return schema{"$ref": "#/components/schemas/" + name}
}

func (c *components) shape(t reflect.Type) schema {
	properties, required := map[string]schema{}, []string{}
	c.fields(t, properties, &required)
	s := schema{"type": "object", "properties": properties}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

func (c *components) fields(t reflect.Type, properties map[string]schema, required *[]string) {
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			c.fields(deref(f.Type), properties, required)
			continue
		case name == "" || name == "-":
			continue
		}
		if strings.HasPrefix(options, "omit") {
			properties[name] = c.of(deref(f.Type))
			continue
		}
		properties[name] = c.of(f.Type)
		*required = append(*required, name)
	}
}

func deref(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}
