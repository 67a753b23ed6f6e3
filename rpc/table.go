package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// A method is one row of the table: everything that dispatch, help and clients
// know of it.
type method struct {
	name   string
	group  string
	doc    string
	params []param
	result reflect.Type // nil interface if it depends on the parameters
	slow   bool         // may wait for something: takes no worker meanwhile
	run    func(*call) (any, error)
}

// param is one parameter of a method.
type param struct {
	name     string
	kind     kind
	optional bool
	doc      string
	example  string // a word of a command line; empty: the kind's, and none if it may be left out
}

// call is one call on its way through a handler.
type call struct {
	*Backend
	ctx    context.Context
	method *method
	args   []any // by position, as the kinds of the parameters read them; nil if left out
	open   Snapshot
}

// define makes a row; the result's type is the handler's.
func define[T any](name, doc string, run func(*call) (T, error), params ...param) method {
	return method{
		name: name, doc: doc, params: params, result: reflect.TypeFor[T](),
		run: func(c *call) (any, error) { return run(c) },
	}
}

// slowly marks a method that may wait for something else than the disk.
func slowly(m method) method {
	m.slow = true
	return m
}

// methods is the table, in the order in which help shows it. Both are filled by
// init and never change: the handler of help reads what it stands in.
var (
	methods []method
	byName  = map[string]*method{}
)

func init() {
	methods = slices.Concat(
		group("Chain", chainMethods()),
		group("Chain", coinMethods()),
		group("Chain", slices.Concat(branchMethods(), historyMethods(), verifyMethods(), proofMethods())),
		group("Transactions", txMethods()),
		group("Pool", poolMethods()),
		group("Pool", feeMethods()),
		group("Network", slices.Concat(networkMethods(), bookMethods())),
		group("Mining", slices.Concat(miningMethods(), workMethods())),
		group("Convergence", slices.Concat(convergenceMethods(), timelineMethods(), storyMethods())),
		group("Control", slices.Concat(controlMethods(), upkeepMethods(), discoverMethods())),
	)
	for i := range methods {
		byName[methods[i].name] = &methods[i]
	}
}

func group(name string, rows []method) []method {
	for i := range rows {
		rows[i].group = name
	}
	return rows
}

// arg is a required argument, or one that was given.
func arg[T any](c *call, i int) T { return c.args[i].(T) }

// argOr is an argument, or what stands for it when it is left out.
func argOr[T any](c *call, i int, otherwise T) T {
	if c.args[i] == nil {
		return otherwise
	}
	return c.args[i].(T)
}

// view is the call's snapshot, the same one each time.
func (c *call) view() (Snapshot, error) {
	if c.open == nil {
		s, err := c.Open()
		if err != nil {
			return nil, err
		}
		c.open = s
	}
	return c.open, nil
}

func (c *call) close() {
	if c.open != nil {
		c.open.Close()
	}
}

// invoke runs a method with the parameters as they came.
func (b *Backend) invoke(ctx context.Context, m *method, params json.RawMessage) (any, *Error) {
	args, err := m.arguments(b, params)
	if err != nil {
		return nil, asError(err)
	}
	c := &call{Backend: b, ctx: ctx, method: m, args: args}
	defer c.close()
	result, err := m.run(c)
	if err != nil {
		return nil, asError(err)
	}
	return result, nil
}

func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return Errorf(Misc, "%s", Clean(err.Error()))
}

// arguments reads positional or named parameters, each by its kind.
func (m *method) arguments(b *Backend, raw json.RawMessage) ([]any, error) {
	given, err := m.place(raw)
	if err != nil {
		return nil, err
	}
	args := make([]any, len(m.params))
	for i, p := range m.params {
		if i >= len(given) || absent(given[i]) {
			if !p.optional {
				return nil, Errorf(Misc, "%s is missing\n\n%s", p.name, m.help())
			}
			continue
		}
		if args[i], err = p.kind.read(b.Params, p.name, given[i]); err != nil {
			return nil, err
		}
	}
	return args, nil
}

// place puts parameters in the order of the table.
func (m *method) place(raw json.RawMessage) (given []json.RawMessage, err error) {
	switch {
	case absent(raw):
		return nil, nil
	case raw[0] == '{':
		return m.placeNamed(raw)
	case raw[0] != '[':
		return nil, Errorf(InvalidRequest, "Params must be an array or object")
	}
	if err := json.Unmarshal(raw, &given); err != nil {
		return nil, Errorf(ParseError, "Parse error")
	}
	if len(given) > len(m.params) {
		return nil, Errorf(Misc, "%d parameters, at most %d are known\n\n%s", len(given), len(m.params), m.help())
	}
	return given, nil
}

// placeNamed also takes "args", the first parameters by position, as Bitcoin Core
// does.
func (m *method) placeNamed(raw json.RawMessage) ([]json.RawMessage, error) {
	var named map[string]json.RawMessage
	if err := json.Unmarshal(raw, &named); err != nil {
		return nil, Errorf(ParseError, "Parse error")
	}
	first, err := m.place(named["args"])
	if err != nil {
		return nil, err
	}
	delete(named, "args")
	given := make([]json.RawMessage, len(m.params))
	copy(given, first)
	for name, value := range named {
		i := slices.IndexFunc(m.params, func(p param) bool { return p.name == name })
		if i < 0 {
			return nil, Errorf(InvalidParameter, "Unknown named parameter %s", Clean(name))
		}
		if i < len(first) {
			return nil, Errorf(InvalidParameter, "Parameter %s specified twice both as positional and named argument", name)
		}
		given[i] = value
	}
	return given, nil
}

// Methods lists the names of all methods, in the order of help.
func Methods() []string {
	names := make([]string, len(methods))
	for i, m := range methods {
		names[i] = m.name
	}
	return names
}

// Arguments turns the words of a command line into parameters of a method: words
// stay text where the method takes text and are read as JSON elsewhere, and
// name=value gives one by name if any word has that form.
func Arguments(name string, words []string) (json.RawMessage, error) {
	m, known := byName[name]
	if !known {
		return nil, fmt.Errorf("no method is called %q%s; `cairn rpc help` lists them", name, didYouMean(name))
	}
	return m.arrange(words)
}

func (m *method) arrange(words []string) (json.RawMessage, error) {
	if slices.ContainsFunc(words, m.named) {
		return m.wordsByName(words)
	}
	list := make([]json.RawMessage, len(words))
	for i, w := range words {
		list[i] = json.RawMessage(w)
		if i < len(m.params) && m.params[i].kind.text || !json.Valid(list[i]) {
			list[i] = quote(w)
		}
	}
	return json.Marshal(list)
}

// named tells whether a word reads name=value with a name of the method.
func (m *method) named(word string) bool {
	name, _, ok := strings.Cut(word, "=")
	return ok && slices.ContainsFunc(m.params, func(p param) bool { return p.name == name })
}

func (m *method) wordsByName(words []string) (json.RawMessage, error) {
	given := map[string]json.RawMessage{}
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		i := slices.IndexFunc(m.params, func(p param) bool { return p.name == name })
		if i < 0 {
			return nil, fmt.Errorf("%q names no parameter of %s: give all of them as name=value, or none", w, m.name)
		}
		given[name] = json.RawMessage(value)
		if m.params[i].kind.text || !json.Valid(given[name]) {
			given[name] = quote(value)
		}
	}
	return json.Marshal(given)
}

func quote(s string) json.RawMessage {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string
	}
	return b
}
