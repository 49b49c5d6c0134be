//! Rebuilds long left-deep chains of AND, OR and UNION as balanced trees, so that what recurses over them goes
//! log n deep. AND, OR and UNION \[ALL\] are associative; names and types come from the leftmost operand either way.

use std::mem;
use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, Query, SetExpr, SetOperator, SetQuantifier, Statement, Value, VisitMut, VisitorMut,
};

/// Chains shorter than this stay as they were written.
const CHAIN_MIN: usize = 8;

/// Balances every chain of a statement.
pub(crate) fn statement(statement: &mut Statement) {
    // A never-failing visitor.
    let _ = statement.visit(&mut Balance);
}

struct Balance;

impl VisitorMut for Balance {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        set_expr(&mut query.body);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        for op in [BinaryOperator::Or, BinaryOperator::And] {
            if chain_length(expr, &op) >= CHAIN_MIN {
                let mut operands = Vec::new();
                flatten(take(expr), &op, &mut operands);
                if op == BinaryOperator::Or {
                    operands = gather_equalities(operands);
                }
                *expr = build(operands, &op);
            }
        }
        ControlFlow::Continue(())
    }
}

fn take(expr: &mut Expr) -> Expr {
    mem::replace(expr, Expr::Value(Value::Null.into()))
}

/// Length of the left spine; a tree already balanced is short.
fn chain_length(expr: &Expr, op: &BinaryOperator) -> usize {
    let mut length = 0;
    let mut at = expr;
    while let Expr::BinaryOp { left, op: own, .. } = at {
        if own != op {
            break;
        }
        length += 1;
        at = left;
    }
    length
}

fn flatten(expr: Expr, op: &BinaryOperator, operands: &mut Vec<Expr>) {
    let mut at = expr;
    loop {
        match at {
            Expr::BinaryOp { left, op: own, right } if own == *op => {
                operands.push(*right);
                at = *left;
            }
            other => {
                operands.push(other);
                break;
            }
        }
    }
    operands.reverse();
}

/// `c = 1 OR c = 2 OR …` is `c IN (1, 2, …)`: terms that compare one column with literals become one list.
fn gather_equalities(operands: Vec<Expr>) -> Vec<Expr> {
    let mut lists: Vec<(Expr, Vec<Expr>)> = Vec::new();
    let mut places: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
    let mut rest = Vec::new();
    for operand in operands {
        match operand {
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right }
                if matches!(*left, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
                    && matches!(&*right, Expr::Value(value) if !matches!(value.value, Value::Null)) =>
            {
                let at = *places.entry(left.to_string()).or_insert_with(|| {
                    lists.push((*left, Vec::new()));
                    lists.len() - 1
                });
                lists[at].1.push(*right);
            }
            other => rest.push(other),
        }
    }
    let lists = lists.into_iter().map(|(column, mut values)| match values.len() {
        1 => Expr::BinaryOp {
            left: Box::new(column),
            op: BinaryOperator::Eq,
            right: Box::new(values.swap_remove(0)),
        },
        _ => Expr::InList { expr: Box::new(column), list: values, negated: false },
    });
    lists.chain(rest).collect()
}

fn build(mut operands: Vec<Expr>, op: &BinaryOperator) -> Expr {
    while operands.len() > 1 {
        let mut next = Vec::with_capacity(operands.len().div_ceil(2));
        let mut rest = operands.into_iter();
        while let Some(left) = rest.next() {
            next.push(match rest.next() {
                Some(right) => {
                    Expr::BinaryOp { left: Box::new(left), op: op.clone(), right: Box::new(right) }
                }
                None => left,
            });
        }
        operands = next;
    }
    operands.pop().unwrap_or_else(|| Expr::Value(Value::Null.into()))
}

fn same_union(expr: &SetExpr, quantifier: SetQuantifier) -> bool {
    matches!(expr, SetExpr::SetOperation { op: SetOperator::Union, set_quantifier, .. }
        if *set_quantifier == quantifier)
}

fn set_expr(body: &mut SetExpr) {
    // A chain may begin below others: `a UNION b UNION ALL c …`; walk the spine iteratively.
    let mut at = body;
    loop {
        let SetExpr::SetOperation { op, set_quantifier, .. } = at else { return };
        let quantifier = *set_quantifier;
        if *op == SetOperator::Union && spine(at, quantifier) >= CHAIN_MIN {
            let mut operands = Vec::new();
            let mut tail = mem::replace(at, SetExpr::Values(empty_values()));
            loop {
                match tail {
                    SetExpr::SetOperation { left, right, .. } if same_union_parts(&left, quantifier) => {
                        operands.push(*right);
                        tail = *left;
                    }
                    SetExpr::SetOperation { left, right, .. } => {
                        operands.push(*right);
                        operands.push(*left);
                        break;
                    }
                    other => {
                        operands.push(other);
                        break;
                    }
                }
            }
            operands.reverse();
            *at = union(operands, quantifier);
            return;
        }
        match at {
            SetExpr::SetOperation { left, .. } => at = left,
            _ => return,
        }
    }
}

fn same_union_parts(left: &SetExpr, quantifier: SetQuantifier) -> bool {
    same_union(left, quantifier)
}

fn spine(expr: &SetExpr, quantifier: SetQuantifier) -> usize {
    let mut length = 0;
    let mut at = expr;
    while same_union(at, quantifier) {
        length += 1;
        match at {
            SetExpr::SetOperation { left, .. } => at = left,
            _ => break,
        }
    }
    length
}

fn empty_values() -> sqlparser::ast::Values {
    sqlparser::ast::Values { explicit_row: false, value_keyword: false, rows: Vec::new() }
}

fn union(mut operands: Vec<SetExpr>, quantifier: SetQuantifier) -> SetExpr {
    while operands.len() > 1 {
        let mut next = Vec::with_capacity(operands.len().div_ceil(2));
        let mut rest = operands.into_iter();
        while let Some(left) = rest.next() {
            next.push(match rest.next() {
                Some(right) => SetExpr::SetOperation {
                    left: Box::new(left),
                    op: SetOperator::Union,
                    set_quantifier: quantifier,
                    right: Box::new(right),
                },
                None => left,
            });
        }
        operands = next;
    }
    operands.pop().unwrap_or_else(|| SetExpr::Values(empty_values()))
}
