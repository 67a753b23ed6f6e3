package rpc

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// overview lists every method with its parameters, group by group.
func overview() string {
	var b strings.Builder
	last := ""
	for i := range methods {
		if m := &methods[i]; m.group != last {
			fmt.Fprintf(&b, "\n== %s ==\n", m.group)
			last = m.group
		}
		b.WriteString(methods[i].usage() + "\n")
	}
	return strings.TrimSpace(b.String())
}

// usage is a method's name and parameters on one line, optional ones in brackets,
// as Bitcoin Core writes it.
func (m *method) usage() string {
	words := []string{m.name}
	for _, p := range m.params {
		word := p.name
		if p.kind.text {
			word = `"` + word + `"`
		}
		if p.optional {
			word = "( " + word + " )"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// help is all that the table knows of a method.
func (m *method) help() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s\n", m.usage(), m.doc)
	if len(m.params) > 0 {
		b.WriteString("\nArguments:\n")
	}
	for i, p := range m.params {
		need := "required"
		if p.optional {
			need = "optional"
		}
		fmt.Fprintf(&b, "%d. %s (%s, %s) %s\n", i+1, p.name, p.kind.name, need, p.doc)
	}
	b.WriteString("\nResult:\n" + outline(m.result, "") + "\n\nExamples:\n" + m.examples())
	return b.String()
}

// examples are the same call as a command of ours and as an HTTP request.
func (m *method) examples() string {
	words := m.exampleWords()
	params, err := m.arrange(words)
	if err != nil {
		panic(err) // the table's own words
	}
	line := "> cairn rpc " + m.name
	for _, w := range words {
		line += " " + shellWord(w)
	}
	return fmt.Sprintf("%s\n> curl -u \"$(cat .cookie)\" -d '{\"id\": 1, \"method\": %q, \"params\": %s}' http://127.0.0.1:29422/\n", line, m.name, params)
}

// exampleWords are those of every parameter that must be there, and of others
// that have one of their own.
func (m *method) exampleWords() (words []string) {
	for _, p := range m.params {
		switch {
		case p.example != "":
			words = append(words, p.example)
		case !p.optional:
			words = append(words, p.kind.example)
		default:
			return words
		}
	}
	return words
}

// shellWord quotes a word where a shell would take it apart.
func shellWord(w string) string {
	if strings.ContainsAny(w, " []{}\"*$") {
		return "'" + w + "'"
	}
	return w
}

// outline shows the JSON form of a result's type.
func outline(t reflect.Type, indent string) string {
	if word, ok := plain(t); ok {
		return word
	}
	switch t.Kind() {
	case reflect.Pointer:
		return outline(t.Elem(), indent)
	case reflect.Slice, reflect.Array:
		return "[ " + outline(t.Elem(), indent) + ", … ]"
	case reflect.Struct:
		return "{\n" + fields(t, indent+"  ") + indent + "}"
	}
	return t.Kind().String()
}

// plain names a type that JSON shows as one value.
func plain(t reflect.Type) (string, bool) {
	if t.Implements(reflect.TypeFor[json.Marshaler]()) {
		return "number", true // Amount and Seconds
	}
	if t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(reflect.TypeFor[interface{ MarshalText() ([]byte, error) }]()) {
		return "text", true // ids and hex
	}
	switch t.Kind() {
	case reflect.Interface:
		return "depends on the arguments", true
	case reflect.String:
		return "text", true
	case reflect.Bool:
		return "true or false", true
	case reflect.Int, reflect.Int64, reflect.Uint32, reflect.Uint64, reflect.Float64:
		return "number", true
	}
	return "", false
}

func fields(t reflect.Type, indent string) string {
	var b strings.Builder
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous:
			b.WriteString(fields(f.Type, indent))
			continue
		case name == "" || name == "-":
			continue
		}
		fmt.Fprintf(&b, "%s%q: %s", indent, name, outline(f.Type, indent))
		if options == "omitempty" {
			b.WriteString(" (may be left out)")
		}
		b.WriteString("\n")
	}
	return b.String()
}
