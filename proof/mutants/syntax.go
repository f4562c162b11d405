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
	file          string
	line, column  int
	before, after string
	original      []byte // the file
	start, end    int    // of what is replaced in it
}

func (m mutant) String() string {
	before, _, more := strings.Cut(m.before, "\n")
	if more {
		before += " …"
	}
	if m.after == "" {
		return fmt.Sprintf("%s:%d:%d: without %s", m.file, m.line, m.column, before)
	}
	return fmt.Sprintf("%s:%d:%d: %s for %s", m.file, m.line, m.column, m.after, before)
}

// text returns the file with the change. What is left out leaves its lines, so that
// errors name the right ones.
func (m mutant) text() []byte {
	after := m.after + strings.Repeat("\n", strings.Count(m.before, "\n"))
	return slices.Concat(m.original[:m.start], []byte(after), m.original[m.end:])
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
	c := collector{text: text, file: set.File(tree.Pos()), path: file}
	ast.Inspect(tree, c.visit)
	return c.found, nil
}

type collector struct {
	text  []byte
	path  string
	file  *token.File
	found []mutant
}

func (c *collector) add(from, to token.Pos, after string) {
	start, end := c.file.Offset(from), c.file.Offset(to)
	at := c.file.Position(from)
	c.found = append(c.found, mutant{c.path, at.Line, at.Column, string(c.text[start:end]), after, c.text, start, end})
}

func (c *collector) leaveOut(n ast.Node) { c.add(n.Pos(), n.End(), "") }

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

func (c *collector) visit(n ast.Node) bool {
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
		c.condition(n.Cond)
	case *ast.IncDecStmt:
		c.operator(n.TokPos, n.Tok)
	case *ast.AssignStmt:
		c.operator(n.TokPos, n.Tok)
		if n.Tok != token.DEFINE {
			c.leaveOut(n)
		}
	case *ast.ExprStmt, *ast.DeferStmt, *ast.SendStmt, *ast.BranchStmt:
		c.leaveOut(n)
	case *ast.CompositeLit:
		c.members(n)
	case *ast.ReturnStmt:
		c.result(n)
	}
	return true
}

// condition negates what has no operator of its own.
func (c *collector) condition(condition ast.Expr) {
	switch condition.(type) {
	case *ast.CallExpr, *ast.Ident, *ast.SelectorExpr, *ast.IndexExpr:
		c.add(condition.Pos(), condition.Pos(), "!")
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

// result drops the error that is returned.
func (c *collector) result(r *ast.ReturnStmt) {
	if len(r.Results) == 0 {
		return
	}
	if last, ok := r.Results[len(r.Results)-1].(*ast.Ident); ok && last.Name == "err" {
		c.add(last.Pos(), last.End(), "nil")
	}
}
