// Reads JSON lines on stdin and answers each with what BuildKit's own parser and shell lexer make of it.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	"github.com/moby/patternmatcher"
)

type question struct {
	Dockerfile *string
	Word       string
	Env        []string
	Escape     string
	Patterns   []string
	Paths      []string
}

type answer struct {
	Error       string   `json:"error"`       // of the parser
	Instruction string   `json:"instruction"` // the error of the second level, instructions
	Dump        string   `json:"dump"`
	Nodes       []any    `json:"nodes"`
	Lines       [][2]int `json:"lines"`
	Heredocs    []any    `json:"heredocs"`
	Stages      []any    `json:"stages"`
	Result      string   `json:"result"`
	Words       []string `json:"words"`
	WordsError  string   `json:"words_error"`
	Ignored     []bool   `json:"ignored"`
}

func main() {
	lines := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var q question
		if err := json.Unmarshal(line, &q); err != nil {
			panic(err)
		}
		switch {
		case q.Dockerfile != nil:
			out.Encode(parse(*q.Dockerfile))
		case q.Patterns != nil:
			out.Encode(match(q))
		default:
			out.Encode(expand(q))
		}
	}
}

func parse(text string) (a answer) {
	result, err := parser.Parse(bytes.NewReader([]byte(text)))
	if err != nil {
		a.Error = err.Error()
		return
	}
	a.Dump = result.AST.Dump()
	for _, node := range result.AST.Children {
		a.Nodes = append(a.Nodes, flat(node))
		a.Lines = append(a.Lines, [2]int{node.StartLine, node.EndLine})
		for _, h := range node.Heredocs {
			a.Heredocs = append(a.Heredocs, []any{h.Name, h.Content, h.Expand, h.Chomp, h.FileDescriptor})
		}
	}
	stages, _, err := instructions.Parse(result.AST, nil)
	if err != nil {
		a.Instruction = err.Error()
		return
	}
	for _, s := range stages {
		names := []string{}
		for _, c := range s.Commands {
			names = append(names, c.Name())
		}
		a.Stages = append(a.Stages, []any{s.Name, s.BaseName, s.Platform, names})
	}
	return
}

func flat(node *parser.Node) []any {
	args := []string{}
	var child any
	for n := node.Next; n != nil; n = n.Next {
		if len(n.Children) > 0 {
			child = flat(n.Children[0])
		} else {
			args = append(args, n.Value)
		}
	}
	return []any{strings.ToLower(node.Value), append([]string{}, node.Flags...), args, child}
}

func expand(q question) (a answer) {
	escape := []rune(q.Escape)[0]
	env := shell.EnvsFromSlice(q.Env)
	result, _, err := shell.NewLex(escape).ProcessWord(q.Word, env)
	a.Result = result
	if err != nil {
		a.Error = err.Error()
	}
	a.Words, err = shell.NewLex(escape).ProcessWords(q.Word, env)
	if err != nil {
		a.WordsError = err.Error()
	}
	return
}

func match(q question) (a answer) {
	m, err := patternmatcher.New(q.Patterns)
	if err != nil {
		a.Error = err.Error()
		return
	}
	for _, path := range q.Paths {
		ignored, err := m.MatchesOrParentMatches(path)
		if err != nil {
			a.Error = err.Error()
			return
		}
		a.Ignored = append(a.Ignored, ignored)
	}
	return
}
