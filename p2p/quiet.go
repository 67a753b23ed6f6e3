package p2p

import (
	"context"
	"log/slog"
	"sync"

	"github.com/libp2p/go-libp2p/gologshim"
)

// hushed is true once libp2p speaks to a logger of ours: it has one for the
// whole process.
var hushed sync.Once

// hush makes libp2p's own log quiet: its warnings are hardly ever about this
// node, so they count as debug output.
func hush(l *slog.Logger) *slog.Logger {
	h := quiet{l.Handler()}
	hushed.Do(func() { gologshim.SetDefaultHandler(h) })
	return slog.New(h)
}

// quiet passes warnings and errors on as debug output, and drops the rest.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && q.Handler.Enabled(ctx, slog.LevelDebug)
}

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return q.Handler.Handle(ctx, r)
}

func (q quiet) WithAttrs(as []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(as)} }

func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name)} }
