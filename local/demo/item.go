package demo

import (
	"math/big"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// The forms in which a row holds its document.
const (
	native  = "native"
	gzipped = "gzip"
)

func formOf(item map[string]types.AttributeValue) string {
	switch {
	case item["document"] != nil:
		return native
	case item["document_gzip"] != nil:
		return gzipped
	}
	return ""
}

// isNumber reports whether two texts are the same number, to the digit: 12.10 is
// 12.1.
func isNumber(got, want string) bool {
	g, ok := new(big.Rat).SetString(got)
	w, _ := new(big.Rat).SetString(want)
	return ok && g.Cmp(w) == 0
}

// number returns the number at a path like line_items/1/price of the document,
// as DynamoDB has it, or "".
func number(item map[string]types.AttributeValue, path string) string {
	value := item["document"]
	for name := range strings.SplitSeq(path, "/") {
		switch v := value.(type) {
		case *types.AttributeValueMemberM:
			value = v.Value[name]
		case *types.AttributeValueMemberL:
			i, err := strconv.Atoi(name)
			if err != nil || i >= len(v.Value) {
				return ""
			}
			value = v.Value[i]
		}
	}
	if n, ok := value.(*types.AttributeValueMemberN); ok {
		return n.Value
	}
	return ""
}

// containing returns part if text contains it, else text.
func containing(text, part string) string {
	if strings.Contains(text, part) {
		return part
	}
	return text
}
