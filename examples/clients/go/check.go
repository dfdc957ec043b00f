// Asks Rolecall whether a user may do something: check ORG USER PERMISSION.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	rolecall "example.com/rolecall/v1"
)

const retry = `{"methodConfig": [{"name": [{"service": "rolecall.v1.CheckService"}], "retryPolicy": {
	"maxAttempts": 4, "initialBackoff": "0.05s", "maxBackoff": "0.5s", "backoffMultiplier": 2,
	"retryableStatusCodes": ["UNAVAILABLE"]}}]}`

func main() {
	log.SetFlags(0)
	server := os.Getenv("ROLECALL_SERVER") // unix:PATH or HOST:PORT
	transport := grpc.WithInsecure()
	if !strings.HasPrefix(server, "unix:") {
		tls, err := credentials.NewClientTLSFromFile(os.Getenv("ROLECALL_CA"), "")
		if err != nil {
			log.Fatal(err)
		}
		transport = grpc.WithTransportCredentials(tls)
	}
	connection, err := grpc.Dial(server, transport, grpc.WithDefaultServiceConfig(retry))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()

	deadline, err := time.ParseDuration(os.Getenv("ROLECALL_DEADLINE") + "s")
	if err != nil {
		deadline = 2 * time.Second
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+os.Getenv("ROLECALL_KEY"))
	request := &rolecall.CheckRequest{OrgId: os.Args[1], UserId: os.Args[2]}
	request.Question = &rolecall.CheckRequest_Permission{Permission: os.Args[3]}
	answer, err := rolecall.NewCheckServiceClient(connection).Check(ctx, request)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.Decision)
}
