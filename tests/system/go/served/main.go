// The program that the tests of Windows images start: it says what it finds, serves, keeps data and ends in different ways.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"crypto/rand"
)

func tell(name string, value any) {
	text, _ := json.Marshal(map[string]any{name: value})
	fmt.Println(string(text))
}

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "exit":
			code, _ := strconv.ParseUint(os.Args[2], 0, 32)
			syscall.Exit(int(code))
		case "args":
			directory, _ := os.Getwd()
			tell("args", os.Args)
			tell("directory", directory)
			tell("environment", os.Environ())
			return
		case "stat":
			for _, path := range os.Args[2:] {
				_, err := os.Stat(path)
				tell(path, err == nil)
			}
			return
		case "hang":
			signal.Ignore(os.Interrupt, syscall.SIGTERM)
			tell("hangs", true)
			for {
				time.Sleep(time.Hour)
			}
		case "random":
			data := make([]byte, 1<<20)
			_, err := rand.Read(data)
			seen := map[byte]bool{}
			for _, each := range data {
				seen[each] = true
			}
			tell("random", []any{len(seen), err == nil})
			return
		}
	}
	folder := os.Getenv("DATA")
	stop := make(chan os.Signal, 2)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	http.HandleFunc("/put", func(w http.ResponseWriter, r *http.Request) {
		path := filepath.Join(folder, r.FormValue("name"))
		if err := os.WriteFile(path, []byte(r.FormValue("text")), 0o644); err != nil {
			http.Error(w, err.Error(), 500)
		}
	})
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "served") })
	server := &http.Server{Addr: ":" + os.Getenv("PORT")}
	go func() {
		got := <-stop
		tell("got", got.String())
		limit, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		server.Shutdown(limit)
	}()
	tell("serves", server.Addr)
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		tell("failed", err.Error())
		os.Exit(3)
	}
	os.WriteFile(filepath.Join(folder, "ended.txt"), []byte("gracefully"), 0o644)
	tell("ended", "gracefully")
}
