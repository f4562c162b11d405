package mutants

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A mutant is a file with one small change.
type mutant struct {
	token.Position        // of what is replaced; the file by its path in the clone
	before, after  string // what is replaced, and with what
	original       []byte // the file
}

func (m mutant) String() string {
	before, _, more := strings.Cut(m.before, "\n")
	if more {
		before += " …"
	}
	if m.after == "" {
		return fmt.Sprintf("%s: without %s", m.Position, before)
	}
	return fmt.Sprintf("%s: %s for %s", m.Position, m.after, before)
}

// text returns the file with the change. What is left out leaves its lines, so that
// errors name the right ones.
func (m mutant) text() []byte {
	after := m.after + strings.Repeat("\n", strings.Count(m.before, "\n"))
	return slices.Concat(m.original[:m.Offset], []byte(after), m.original[m.Offset+len(m.before):])
}

// mutants returns all mutants of a file, named by its path below root.
func mutants(root, file string) ([]mutant, error) {
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		return nil, err
	}
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, file, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	c := collector{text: text, file: set.File(tree.Pos())}
	for n := range ast.Preorder(tree) {
		c.visit(n)
	}
	return c.found, nil
}

type collector struct {
	text  []byte
	file  *token.File
	found []mutant
}

func (c *collector) add(from, to token.Pos, after string) {
	at := c.file.Position(from)
	c.found = append(c.found, mutant{at, string(c.text[at.Offset:c.file.Offset(to)]), after, c.text})
}

// other has for each operator the one that is most easily taken for it.
var other = map[token.Token]string{
	token.LSS: "<=", token.LEQ: "<", token.GTR: ">=", token.GEQ: ">", token.EQL: "!=", token.NEQ: "==",
	token.LAND: "||", token.LOR: "&&",
	token.ADD: "-", token.SUB: "+", token.MUL: "/", token.QUO: "*", token.REM: "*",
	token.SHL: ">>", token.SHR: "<<", token.AND: "|", token.OR: "&",
	token.ADD_ASSIGN: "-=", token.SUB_ASSIGN: "+=", token.INC: "--", token.DEC: "++",
}

func (c *collector) operator(at token.Pos, is token.Token) {
	if after := other[is]; after != "" {
		c.add(at, at+token.Pos(len(is.String())), after)
	}
}

func (c *collector) visit(n ast.Node) {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		c.operator(n.OpPos, n.Op)
	case *ast.UnaryExpr:
		if n.Op == token.NOT {
			c.add(n.OpPos, n.OpPos+1, "")
		}
	case *ast.BasicLit:
		if value, err := strconv.ParseInt(n.Value, 0, 62); n.Kind == token.INT && err == nil {
			c.add(n.Pos(), n.End(), strconv.FormatInt(value+1, 10))
		}
	case *ast.IfStmt:
		switch n.Cond.(type) { // those with no operator of their own
		case *ast.CallExpr, *ast.Ident, *ast.SelectorExpr, *ast.IndexExpr:
			c.add(n.Cond.Pos(), n.Cond.Pos(), "!")
		}
	case *ast.IncDecStmt:
		c.operator(n.TokPos, n.Tok)
	case *ast.AssignStmt:
		c.operator(n.TokPos, n.Tok)
		if n.Tok != token.DEFINE {
			c.add(n.Pos(), n.End(), "")
		}
	case *ast.ExprStmt, *ast.DeferStmt, *ast.SendStmt, *ast.BranchStmt:
		c.add(n.Pos(), n.End(), "")
	case *ast.CompositeLit:
		c.members(n)
	case *ast.ReturnStmt:
		for _, result := range n.Results {
			if result, ok := result.(*ast.Ident); ok && result.Name == "err" {
				c.add(result.Pos(), result.End(), "nil")
			}
		}
	}
}

// members leaves out one of a literal's named members at a time.
func (c *collector) members(literal *ast.CompositeLit) {
	for i, member := range literal.Elts {
		if _, named := member.(*ast.KeyValueExpr); !named {
			continue
		}
		end := literal.Rbrace
		if i+1 < len(literal.Elts) {
			end = literal.Elts[i+1].Pos()
		}
		c.add(member.Pos(), end, "")
	}
}
