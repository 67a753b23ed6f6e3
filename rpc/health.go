package rpc

import (
	"encoding/json"
	"net/http"
)

// health is what /healthz tells. Whoever has no password hears only whether the node does
// its work: what is wrong may name files and peers.
type health struct {
	Status   string   `json:"status"`             // ok, or refuses
	Warnings []string `json:"warnings,omitempty"` // those of getstatus, for whoever has a password
}

// health answers 200 while the node takes in blocks and payments, and 503 while it does
// not: its disk is full or broken.
func (s *Server) health(w http.ResponseWriter, r *http.Request) {
	answer, status := health{Status: "ok"}, http.StatusOK
	if s.backend.Upkeep.Refuses() != nil {
		answer.Status, status = "refuses", http.StatusServiceUnavailable
	}
	if s.hasPassword(r) {
		answer.Warnings = warnings(s.backend.Control)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // a caller that is gone misses nothing
}
