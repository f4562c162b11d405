package signature

import (
	_ "embed"
	"go/ast"
	"go/parser"
	"go/token"
	"testing"
)

//go:embed signature.go
var source string

// TestSignaturesAreComparedInConstantTime reads the code: the difference in time
// is too small to be measured in a test, and large enough for an attacker.
func TestSignaturesAreComparedInConstantTime(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "signature.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	for _, declaration := range file.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		if !ok || function.Name.Name != "signed" {
			continue
		}
		ast.Inspect(function, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "hmac" && n.Sel.Name == "Equal" {
					calls++
				}
			case *ast.BinaryExpr:
				if ident, ok := n.Y.(*ast.Ident); n.Op == token.EQL && (!ok || ident.Name != "nil") {
					t.Error("a comparison with == takes longer the more is right")
				}
			}
			return true
		})
	}
	if calls != 1 {
		t.Errorf("hmac.Equal is called %d times", calls)
	}
}
