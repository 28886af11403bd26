// A client of golang.org/x/oauth2/clientcredentials: gets a token, asks for a protected page with it, and prints what
// came of it as JSON.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

type report struct {
	Token  string      `json:"token"`
	Type   string      `json:"type"`
	Scope  interface{} `json:"scope"`
	Expiry time.Time   `json:"expiry"`
	// What the page answered.
	Status int    `json:"status"`
	Body   string `json:"body"`
	// What the token endpoint answered, where it gave no token.
	RefusedWith int    `json:"refused_with"`
	Refusal     string `json:"refusal"`
}

func main() {
	styles := map[string]oauth2.AuthStyle{
		"InHeader": oauth2.AuthStyleInHeader, "InParams": oauth2.AuthStyleInParams, "AutoDetect": oauth2.AuthStyleAutoDetect,
	}
	style, known := styles[os.Getenv("STYLE")]
	if !known {
		log.Fatal("no such style")
	}
	config := clientcredentials.Config{
		ClientID: os.Getenv("CLIENT_ID"), ClientSecret: os.Getenv("CLIENT_SECRET"), TokenURL: os.Getenv("TOKEN_URL"),
		Scopes: strings.Fields(os.Getenv("SCOPES")), EndpointParams: url.Values{"resource": strings.Fields(os.Getenv("RESOURCES"))},
		AuthStyle: style,
	}
	result, err := run(context.Background(), &config, os.Getenv("PAGE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, config *clientcredentials.Config, page string) (*report, error) {
	source := config.TokenSource(ctx)
	token, err := source.Token()
	var refusal *oauth2.RetrieveError
	if errors.As(err, &refusal) {
		return &report{RefusedWith: refusal.Response.StatusCode, Refusal: string(refusal.Body)}, nil
	} else if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return nil, err
	}
	response, err := oauth2.NewClient(ctx, source).Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	return &report{
		Token: token.AccessToken, Type: token.Type(), Scope: token.Extra("scope"), Expiry: token.Expiry,
		Status: response.StatusCode, Body: string(body),
	}, nil
}
