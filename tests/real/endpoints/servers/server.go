// Answers each request with the SHA-256 of its body, by Go's net/http. Arguments: the port.
package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(answer http.ResponseWriter, request *http.Request) {
		digest := sha256.New()
		if _, err := io.Copy(digest, request.Body); err == nil {
			fmt.Fprintf(answer, "%x", digest.Sum(nil))
		}
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
