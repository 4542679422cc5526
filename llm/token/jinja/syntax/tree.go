package syntax

// Expr is an expression: one of the types below that have no other mark.
type Expr any

// Stmt is a statement, a text or an output.
type Stmt any

// The expressions.
type (
	// Const is a literal: nil, a bool, an int64, a float64 or a string.
	Const struct{ Value any }
	// Name reads a variable.
	Name struct{ Name string }
	// Attr is x.name.
	Attr struct {
		X    Expr
		Name string
		Line int
	}
	// Item is x[index].
	Item struct {
		X, Index Expr
		Line     int
	}
	// Slice is the index from:to:step; parts that are left out are nil.
	Slice struct{ From, To, Step Expr }
	// Call calls a function.
	Call struct {
		Func Expr
		Args Args
		Line int
	}
	// Filter is x | name(args). X is nil at the head of a block that is
	// filtered.
	Filter struct {
		X    Expr
		Name string
		Args Args
		Line int
	}
	// Test is x is name(args).
	Test struct {
		X    Expr
		Name string
		Args Args
		Line int
	}
	// Unary is -x, +x or not x.
	Unary struct {
		Op   string
		X    Expr
		Line int
	}
	// Binary is x op y for arithmetic, "and" and "or".
	Binary struct {
		Op   string
		X, Y Expr
		Line int
	}
	// Concat is x ~ y ~ z.
	Concat struct {
		Parts []Expr
		Line  int
	}
	// Compare is x op y op z.
	Compare struct {
		X    Expr
		Ops  []string
		Ys   []Expr
		Line int
	}
	// Cond is then if test else otherwise. Else is nil if it is left out.
	Cond struct{ Test, Then, Else Expr }
	// List is [a, b].
	List struct{ Items []Expr }
	// Tuple is (a, b).
	Tuple struct{ Items []Expr }
	// Dict is {a: b}.
	Dict struct {
		Keys, Values []Expr
		Line         int
	}
)

// Args are the arguments of a call.
type Args struct {
	Positional   []Expr
	Names        []string // of the keyword arguments
	Named        []Expr
	Star, Double Expr // *args and **kwargs, or nil
}

// Field is the target ns.name of an assignment.
type Field struct {
	Object, Name string
	Line         int
}

// Param is a parameter of a macro or of a call block.
type Param struct {
	Name    string
	Default Expr // nil without one
}

// The statements.
type (
	// Text stands as it is.
	Text struct{ Data string }
	// Output writes the values of its expressions.
	Output struct {
		Exprs []Expr
		Line  int
	}
	// If runs Body or Else.
	If struct {
		Test       Expr
		Body, Else []Stmt
	}
	// For runs Body for each item, and Else if there was none. Target is a
	// Name or a Tuple of names.
	For struct {
		Target, Iter, Test Expr
		Body, Else         []Stmt
		Recursive          bool
		Line               int
	}
	// Set assigns a value to a Name, a Field or a Tuple of those.
	Set struct {
		Target, Value Expr
		Line          int
	}
	// SetBlock assigns what a block writes, after its filter if it has one.
	SetBlock struct {
		Target Expr
		Filter *Filter
		Body   []Stmt
		Line   int
	}
	// With gives names to values inside of a block.
	With struct {
		Targets, Values []Expr
		Body            []Stmt
		Line            int
	}
	// Macro defines a function.
	Macro struct {
		Name string
		Fn   *Function
	}
	// CallBlock calls a macro that may call the block back.
	CallBlock struct {
		Call *Call
		Fn   *Function
		Line int
	}
	// FilterBlock filters what a block writes.
	FilterBlock struct {
		Filter *Filter
		Body   []Stmt
		Line   int
	}
	// Generation marks a block as what the assistant wrote.
	Generation struct{ Body []Stmt }
	// Break ends a loop.
	Break struct{}
	// Continue goes on with the next item of a loop.
	Continue struct{}
)

// Function is the head and the body of a macro or of a call block.
type Function struct {
	Params []Param
	Body   []Stmt
	// Which of the special names the body reads.
	Caller, Varargs, Kwargs bool
	Line                    int
}
