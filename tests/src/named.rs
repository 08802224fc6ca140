//! Tests that documents name, held against the tests that there are.

/// What a document names as a test: `module::name` in backticks, with the line.
pub fn named_in_document(page: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, line) in page.lines().enumerate() {
        // Every second piece stands between backticks.
        let quoted = line.split('`').skip(1).step_by(2);
        found.extend(quoted.filter(|text| is_path(text)).map(|text| (at + 1, text.to_owned())));
    }
    found
}

/// What a table of planted mistakes names: the mistake and its test.
pub fn named_in_table(table: &str) -> Vec<(String, String)> {
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let mut words = line.split_whitespace().map(str::to_owned);
            Some((words.next()?, words.next()?))
        })
        .collect()
}

/// `a::b`, of two or more names as modules and functions have them.
fn is_path(text: &str) -> bool {
    let word = |word: &str| {
        let mut chars = word.chars();
        chars.next().is_some_and(|c| c.is_ascii_lowercase())
            && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    text.contains("::") && text.split("::").all(word)
}

/// The functions of a source that are tests.
pub fn tests_of(source: &str) -> Vec<&str> {
    let pieces = source.split("#[test]").skip(1);
    pieces
        .filter_map(|piece| {
            let from = piece.find("fn ")? + 3;
            piece.get(from..)?.split(|c: char| !c.is_alphanumeric() && c != '_').next()
        })
        .collect()
}

/// Whether a source, whose module has this name, has the test `path`.
pub fn has_test(module: &str, source: &str, path: &str) -> bool {
    let Some((modules, name)) = path.rsplit_once("::") else { return false };
    let last = modules.rsplit("::").next().unwrap_or(modules);
    (module == last || source.contains(&format!("mod {last} {{")))
        && tests_of(source).contains(&name)
}

/// The names of the mistakes that are planted in a source.
pub fn planted_in(source: &str) -> Vec<&str> {
    let pieces = source.split("planted!(\"").skip(1);
    pieces.filter_map(|piece| piece.split('"').next()).filter(|name| *name != "name").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_tests_are_found_and_compared() {
        let page = "a `b::c_1`\n`B::c`, `d` and `x::y` `E::f()`";
        let named = [(1, "b::c_1".to_owned()), (2, "x::y".to_owned())];
        assert_eq!(named_in_document(page), named);
        let source = "#[test]\nfn one() {}\nfn two() {}\n\
                      mod inner {\n#[test]\n#[cfg(x)]\nfn three(a: u8) {}}";
        assert_eq!(tests_of(source), ["one", "three"]);
        assert!(has_test("file", source, "file::one") && has_test("file", source, "inner::three"));
        assert!(!has_test("file", source, "file::two") && !has_test("file", source, "other::one"));
        assert_eq!(named_in_table("# a b\nc  d::e\n"), [("c".to_owned(), "d::e".to_owned())]);
        assert_eq!(planted_in("planted!(\"name\") if planted!(\"a_b\") {}"), ["a_b"]);
    }
}
