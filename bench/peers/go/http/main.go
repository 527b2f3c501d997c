// SPDX-License-Identifier: Apache-2.0

// Go's side of the HTTP benchmarks: `http PORT`, GOMAXPROCS=1 given by the runner.
package main

import (
	"log"
	"net/http"
	"os"
	"time"
)

var body = []byte("Hello, World!")

func plaintext(w http.ResponseWriter, _ *http.Request) {
	header := w.Header()
	header.Set("Server", "go-net-http-padded-to-29-byte")
	header.Set("Content-Type", "text/plain")
	header.Set("Content-Length", "13")
	w.Write(body)
}

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /plaintext", plaintext)
	server := &http.Server{
		Addr:              "127.0.0.1:" + os.Args[1],
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       60 * time.Second,
	}
	log.Fatal(server.ListenAndServe())
}
