// The context of the five Dockerfiles: a small HTTP server that says where it runs, and ends in order when it is asked to.
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"syscall"
)

func answer(connection net.Conn) {
	defer connection.Close()
	lines := bufio.NewScanner(connection)
	for lines.Scan() && lines.Text() != "" {
	}
	roots, _ := os.ReadFile("/etc/ssl/certs/ca-certificates.crt")
	body := fmt.Sprintf("%s %s certificates=%d\n", runtime.GOOS, runtime.Version(), strings.Count(string(roots), "BEGIN CERTIFICATE"))
	fmt.Fprintf(connection, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body)
}

func main() {
	listener, err := net.Listen("tcp", ":8080")
	if err != nil {
		panic(err)
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-asked
		listener.Close()
	}()
	var waiting sync.WaitGroup
	for {
		connection, err := listener.Accept()
		if err != nil {
			break
		}
		waiting.Add(1)
		go func() {
			defer waiting.Done()
			answer(connection)
		}()
	}
	waiting.Wait()
	fmt.Println("ended in order")
}
