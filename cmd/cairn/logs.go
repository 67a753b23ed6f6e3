package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
)

// The parts of the program that log each at a level of their own.
const (
	logNode     = "node"
	logP2P      = "p2p"
	logRPC      = "rpc"
	logDatabase = "database"
)

// logs is one stream of lines from all parts.
type logs struct {
	all   slog.Handler // takes everything
	usual slog.Level   // that the person asked for
	parts map[string]*slog.LevelVar
}

func newLogs(level, format string, w io.Writer) (*logs, error) {
	l := &logs{parts: map[string]*slog.LevelVar{}}
	if err := l.usual.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level %q: choose debug, info, warn or error", level)
	}
	w = plainLines{w}
	everything := &slog.HandlerOptions{Level: slog.LevelDebug}
	switch format {
	case "text":
		l.all = slog.NewTextHandler(w, everything)
	case "json":
		l.all = slog.NewJSONHandler(w, everything)
	default:
		return nil, fmt.Errorf("--log-format %q: choose text or json", format)
	}
	for _, part := range []string{logNode, logP2P, logRPC, logDatabase} {
		l.parts[part] = new(slog.LevelVar)
		l.parts[part].Set(l.usual)
	}
	return l, nil
}

// of is the logger of one part.
func (l *logs) of(part string) *slog.Logger {
	return slog.New(leveled{l.all, l.parts[part]})
}

// Logged tells which parts log what only a debugger wants.
func (l *logs) Logged() map[string]bool {
	on := map[string]bool{}
	for part, level := range l.parts {
		on[part] = level.Level() <= slog.LevelDebug
	}
	return on
}

// SetLogged changes that while the node runs.
func (l *logs) SetLogged(part string, on bool) error {
	level, ok := l.parts[part]
	switch {
	case !ok:
		return fmt.Errorf("no part of the program is called %q", part)
	case on:
		level.Set(slog.LevelDebug)
	default:
		level.Set(max(l.usual, slog.LevelInfo))
	}
	return nil
}

// leveled passes on what is worth it.
type leveled struct {
	slog.Handler
	level *slog.LevelVar
}

func (h leveled) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

func (h leveled) WithAttrs(attrs []slog.Attr) slog.Handler {
	return leveled{h.Handler.WithAttrs(attrs), h.level}
}

func (h leveled) WithGroup(name string) slog.Handler {
	return leveled{h.Handler.WithGroup(name), h.level}
}
