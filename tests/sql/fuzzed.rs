//! The body of the fuzz target sql_plan, run on seeds: the same code as fuzz/ uses.

#[path = "../../fuzz/bodies/sql_plan.rs"]
mod sql_plan;

/// As many seeds as AMIDA_FUZZ_QUERIES says, for longer runs.
#[test]
fn sql_plan_on_seeds() {
    let queries = std::env::var("AMIDA_FUZZ_QUERIES").ok();
    let queries = queries.map_or(300, |number| number.parse().expect("a number of queries"));
    let target = sql_plan::Target::new();
    for number in 0..queries {
        let input = target.seed(number);
        let planned = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            target.check(&input);
        }));
        if let Err(panic) = planned {
            eprintln!("SEED={number} INPUT={}", input.escape_ascii());
            std::panic::resume_unwind(panic);
        }
    }
}
