// Packs one file the way ko and crane do at best: tar, sha256 of both sides, compress/gzip at BestSpeed, one pass,
// without holding the layer in memory.
package main

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"os"
)

func main() {
	in, err := os.Open(os.Args[1])
	check(err)
	info, err := in.Stat()
	check(err)
	out, err := os.Create(os.Args[2])
	check(err)
	stored, plain := sha256.New(), sha256.New()
	compressed, err := gzip.NewWriterLevel(io.MultiWriter(out, stored), gzip.BestSpeed)
	check(err)
	archive := tar.NewWriter(io.MultiWriter(compressed, plain))
	check(archive.WriteHeader(&tar.Header{Name: "app/program", Mode: 0o555, Size: info.Size()}))
	_, err = io.Copy(archive, in)
	check(err)
	check(archive.Close())
	check(compressed.Close())
	check(out.Close())
	fmt.Printf("%x %x\n", stored.Sum(nil), plain.Sum(nil))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
