package main

import (
	"strings"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// A frame is what every amd64 kernel has: its arguments, a table of literals
// and the loop over batches of 16 nonces.
type frame struct {
	*build.Context
	literals
	feed  operand.Mem
	first reg.GPPhysical
	masks operand.Mem
	left  reg.GPPhysical // batches to go
}

// open begins a function whose arguments lie in registers from then on, but for
// those that no other kernel has.
func open(c *build.Context, name, doc string, more ...string) *frame {
	arguments := append([]string{"feed *uint32, first uint32, masks *uint16, n"}, more...)
	c.Function(name)
	c.Attributes(attr.NOSPLIT)
	c.SignatureExpr("func(" + strings.Join(arguments, ", ") + " int)")
	c.Doc(name + " " + doc)
	c.Load(c.Param("feed"), reg.RAX)
	c.Load(c.Param("first"), reg.ESI)
	c.Load(c.Param("masks"), reg.RCX)
	c.Load(c.Param("n"), reg.RDX)
	f := &frame{
		Context:  c,
		literals: literals{name: name + "Literals", base: operand.Mem{Base: reg.RBX}},
		feed:     operand.Mem{Base: reg.RAX},
		masks:    operand.Mem{Base: reg.RCX},
		left:     reg.RDX,
		first:    reg.ESI,
	}
	c.LEAQ(operand.NewDataAddr(operand.NewStaticSymbol(f.name), 0), reg.RBX)
	return f
}

// loop repeats what batch writes, which must move on to the next mask.
func (f *frame) loop(batch func()) {
	f.TESTQ(f.left, f.left)
	f.JZ(operand.LabelRef("done"))
	f.Label("batch")
	batch()
	f.DECQ(f.left)
	f.JNZ(operand.LabelRef("batch"))
	f.Label("done")
}

// aligned reserves memory on the stack that vectors may be moved to.
func (f *frame) aligned(bytes int) operand.Mem {
	f.LEAQ(f.AllocLocal(bytes+vector).Offset(vector-1), reg.R11)
	f.ANDQ(operand.I8(-vector), reg.R11)
	return operand.Mem{Base: reg.R11}
}

func (f *frame) close() {
	f.RET()
	f.StaticGlobal(f.name)
	f.DataAttributes(attr.RODATA | attr.NOPTR)
	for _, v := range f.values {
		f.AppendDatum(operand.U32(v))
	}
}

// literals is a table of numbers beside the code.
type literals struct {
	name   string
	base   operand.Mem
	values []uint32
}

func (l *literals) word(v uint32) operand.Mem {
	for i, have := range l.values {
		if have == v {
			return at(l.base, i)
		}
	}
	return l.vector(v)
}

func (l *literals) vector(values ...uint32) operand.Mem {
	where := at(l.base, len(l.values))
	l.values = append(l.values, values...)
	return where
}

// swap turns the bytes of each word of 128 bits around.
func (l *literals) swap() operand.Mem {
	return l.vector(0x00010203, 0x04050607, 0x08090a0b, 0x0c0d0e0f)
}

// four is a vector of 128 bits, stored once.
func (l *literals) four(a, b, c, d uint32) operand.Mem {
	want := [4]uint32{a, b, c, d}
	for i := 0; i+4 <= len(l.values); i += 4 {
		if [4]uint32(l.values[i:]) == want {
			return at(l.base, i)
		}
	}
	return l.vector(a, b, c, d)
}

// two is a pair of words.
func (l *literals) two(a, b uint32) operand.Mem {
	for i := 0; i+2 <= len(l.values); i += 2 {
		if l.values[i] == a && l.values[i+1] == b {
			return at(l.base, i)
		}
	}
	return l.vector(a, b)
}
