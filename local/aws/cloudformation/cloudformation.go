// Package cloudformation stands in for CloudFormation on one machine: it describes
// one stack that is there, in CloudFormation's query protocol.
package cloudformation

import (
	"encoding/xml"
	"maps"
	"net/http"
	"slices"
	"time"
)

// A Stack is what is told of a stack.
type Stack struct {
	Name                string
	Outputs, Parameters map[string]string
	// Created is when it was.
	Created time.Time
}

type pair struct {
	OutputKey      string `xml:",omitempty"`
	OutputValue    string `xml:",omitempty"`
	ParameterKey   string `xml:",omitempty"`
	ParameterValue string `xml:",omitempty"`
}

type members struct {
	Members []pair `xml:"member"`
}

// ServeHTTP answers DescribeStacks.
func (s Stack) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/xml")
	if action := r.FormValue("Action"); action != "DescribeStacks" {
		fail(w, "InvalidAction", "the stand-in knows DescribeStacks only, not "+action)
		return
	}
	if name := r.FormValue("StackName"); name != s.Name {
		fail(w, "ValidationError", "Stack with id "+name+" does not exist")
		return
	}
	var outputs, parameters members
	for _, k := range slices.Sorted(maps.Keys(s.Outputs)) {
		outputs.Members = append(outputs.Members, pair{OutputKey: k, OutputValue: s.Outputs[k]})
	}
	for _, k := range slices.Sorted(maps.Keys(s.Parameters)) {
		parameters.Members = append(parameters.Members, pair{ParameterKey: k, ParameterValue: s.Parameters[k]})
	}
	type stack struct {
		StackName    string
		StackStatus  string
		CreationTime string
		Outputs      members
		Parameters   members
	}
	_ = xml.NewEncoder(w).Encode(struct {
		XMLName xml.Name `xml:"DescribeStacksResponse"`
		Stack   stack    `xml:"DescribeStacksResult>Stacks>member"`
	}{Stack: stack{s.Name, "CREATE_COMPLETE", s.Created.UTC().Format(time.RFC3339), outputs, parameters}})
}

func fail(w http.ResponseWriter, code, message string) {
	w.WriteHeader(http.StatusBadRequest)
	_ = xml.NewEncoder(w).Encode(struct {
		XMLName xml.Name `xml:"ErrorResponse"`
		Type    string   `xml:"Error>Type"`
		Code    string   `xml:"Error>Code"`
		Message string   `xml:"Error>Message"`
	}{Type: "Sender", Code: code, Message: message})
}
