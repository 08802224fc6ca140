//! The rules of the house, applied to every file of it: floors, lengths, characters, titles.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // this test reads the sources

use std::fs;
use std::path::{Path, PathBuf};

use amida_tests::named::{has_test, named_in_document, named_in_table, planted_in};
use amida_tests::tidy::{
    FILE_LINES_MAX, banned_words, code_only, joined_literals, long_functions, public_types,
    quoted_error, rooms_named, strange_characters, titles, upward_imports, wide_lines,
    without_example, without_tests,
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests stand in the project")
}

/// All files below a folder with this extension, sorted.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("a readable folder").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<PathBuf> {
    ["engine", "sql", "tests", "benches", "fuzz"]
        .iter()
        .flat_map(|top| files(&root().join(top), "rs"))
        .collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// Whether a file holds tests only.
fn is_test(path: &Path) -> bool {
    let shown = shown(path);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    shown.starts_with("tests/")
        || shown.contains("/tests/")
        || shown.starts_with("fuzz/")
        || stem == "tests"
        || stem.ends_with("_tests")
}

/// Fails with all findings at once.
fn none(findings: Vec<String>) {
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

/// The modules of engine/src that are not tests: room, depth of the module, path, code.
fn engine_modules() -> Vec<(String, usize, PathBuf, String)> {
    let src = root().join("engine/src");
    let mut modules = Vec::new();
    for path in files(&src, "rs").into_iter().filter(|path| !is_test(path)) {
        let inside = path.strip_prefix(&src).expect("a file of engine/src").with_extension("");
        let parts: Vec<String> =
            inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        if parts == ["lib"] {
            continue;
        }
        let depth = parts.len() - usize::from(parts.last().is_some_and(|last| last == "mod"));
        let code = without_tests(&code_only(&read(&path)));
        modules.push((parts[0].clone(), depth, path, code));
    }
    modules
}

#[test]
fn the_rooms_of_the_engine_import_only_downward() {
    let findings = engine_modules().into_iter().flat_map(|(room, depth, path, code)| {
        let wrong = upward_imports(&room, depth, &code);
        wrong.into_iter().map(move |what| format!("{}: {what}", shown(&path)))
    });
    none(findings.collect());
}

#[test]
fn only_fs_touches_the_disk() {
    let mut findings = Vec::new();
    for (room, _, path, code) in engine_modules() {
        for word in ["std::fs", "memmap2::", "rustix::", "fs::File"] {
            let own_fs = word == "fs::File" && !code.contains("std::fs");
            if room != "fs" && !own_fs && code.contains(word) {
                findings.push(format!("{}: names {word}", shown(&path)));
            }
        }
    }
    none(findings);
}

#[test]
fn files_functions_and_lines_are_short() {
    let mut findings = Vec::new();
    for path in sources() {
        let source = read(&path);
        let lines = source.lines().count();
        if lines > FILE_LINES_MAX {
            findings.push(format!("{}: {lines} lines", shown(&path)));
        }
        for (name, line, lines) in long_functions(&code_only(&source)) {
            findings.push(format!("{}:{line}: fn {name} has {lines} lines", shown(&path)));
        }
        for (line, width) in wide_lines(&source) {
            findings.push(format!("{}:{line}: {width} columns", shown(&path)));
        }
    }
    none(findings);
}

#[test]
fn source_is_ascii_but_for_what_user_interfaces_draw() {
    let mut findings = Vec::new();
    // The demo's people and goods have names in their own script.
    let named = |path: &PathBuf| shown(path).starts_with("sql/cli/src/demo/");
    for path in sources().into_iter().filter(|path| !is_test(path) && !named(path)) {
        let source = read(&path);
        // Test data in a module at the end of a file may hold anything.
        let own = source.find("\n#[cfg(test)]\nmod ").map_or(&source[..], |at| &source[..at]);
        for (line, c) in strange_characters(own) {
            findings.push(format!("{}:{line}: {c:?}", shown(&path)));
        }
    }
    none(findings);
}

#[test]
fn nothing_is_left_unfinished() {
    let mut findings = Vec::new();
    for path in sources() {
        let may_sleep = shown(&path).starts_with("sql/") && !is_test(&path);
        for (line, word, why) in banned_words(&code_only(&read(&path)), may_sleep) {
            findings.push(format!("{}:{line}: {word} ({why})", shown(&path)));
        }
    }
    none(findings);
}

#[test]
fn every_document_has_one_title() {
    let mut documents = files(&root().join("docs"), "md");
    documents.extend(
        fs::read_dir(root())
            .expect("a readable project")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|e| e == "md")),
    );
    assert!(documents.iter().any(|path| path.ends_with("README.md")), "there is no README.md");
    let findings = documents.iter().map(|path| (path, titles(&read(path))));
    let wrong = findings.filter(|(_, titles)| *titles != 1);
    none(wrong.map(|(path, titles)| format!("{}: {titles} titles", shown(path))).collect());
}

#[test]
fn every_module_of_the_engine_folder_says_what_it_promises() {
    let mut findings = Vec::new();
    for path in files(&root().join("engine/src"), "rs") {
        let source = read(&path);
        if path.ends_with("mod.rs") && !source.starts_with("//!") {
            findings.push(format!("{}: does not open with its promise", shown(&path)));
        }
    }
    none(findings);
}

#[test]
fn every_public_type_shows_an_example() {
    let mut findings = Vec::new();
    for face in ["engine/src", "engine/otel/src", "sql/src"] {
        let types = public_types(&read(&root().join(face).join("lib.rs")));
        for path in files(&root().join(face), "rs").into_iter().filter(|path| !is_test(path)) {
            for (line, name) in without_example(&read(&path), &types) {
                findings.push(format!("{}:{line}: {name} shows no example", shown(&path)));
            }
        }
    }
    none(findings);
}

#[test]
fn troubleshooting_quotes_errors_that_exist() {
    let paths = sources().into_iter().filter(|path| !is_test(path));
    let code: String = paths.map(|path| read(&path)).collect::<Vec<_>>().concat();
    let code = joined_literals(&code);
    let page = read(&root().join("docs/troubleshooting.md"));
    let parts: Vec<String> = page.lines().filter_map(quoted_error).flatten().collect();
    assert!(parts.len() > 15, "{} quoted errors", parts.len());
    let gone = parts.into_iter().filter(|part| !code.contains(part.as_str()));
    none(gone.map(|part| format!("no source says {part:?}")).collect());
}

/// Whether one of these modules, by name and source, has the test.
fn is_there(modules: &[(String, String)], test: &str) -> bool {
    modules.iter().any(|(module, source)| has_test(module, source, test))
}

/// All sources with the names of their modules.
fn modules() -> Vec<(String, String)> {
    let name = |path: &Path| {
        let named = if path.ends_with("mod.rs") { path.parent() } else { Some(path) };
        let stem = named.and_then(Path::file_stem).unwrap_or_default();
        stem.to_string_lossy().into_owned()
    };
    sources().iter().map(|path| (name(path), read(path))).collect()
}

#[test]
fn the_promises_and_the_bad_inputs_name_tests_that_exist() {
    let modules = modules();
    let mut findings = Vec::new();
    for (page, least) in [("durability.md", 30), ("testing.md", 40), ("track-record.md", 3)] {
        let named = named_in_document(&read(&root().join("docs").join(page)));
        assert!(named.len() >= least, "docs/{page} names {} tests", named.len());
        let gone = named.into_iter().filter(|(_, test)| !is_there(&modules, test));
        findings.extend(gone.map(|(line, test)| format!("docs/{page}:{line}: no test {test}")));
    }
    none(findings);
}

#[test]
fn every_planted_mistake_has_a_place_and_a_test() {
    let modules = modules();
    let list = read(&root().join("engine/src/planted.rs"));
    let listed = |name: &str| list.contains(&format!("    (\"{name}\", "));
    let table = named_in_table(&read(&root().join("tests/planted/bugs.txt")));
    assert!(table.len() >= 30, "{} planted mistakes", table.len());
    let engine = files(&root().join("engine/src"), "rs");
    let planted: String = engine.iter().map(|path| read(path)).collect();
    let planted = planted_in(&planted);
    let mut findings = Vec::new();
    for (name, test) in &table {
        if !listed(name) || !planted.contains(&name.as_str()) {
            findings.push(format!("tests/planted/bugs.txt: {name} is not planted"));
        }
        if !is_there(&modules, test) {
            findings.push(format!("tests/planted/bugs.txt: no test {test}"));
        }
    }
    let unknown = planted.iter().filter(|name| !table.iter().any(|(known, _)| known == *name));
    findings.extend(unknown.map(|name| format!("tests/planted/bugs.txt: nothing on {name}")));
    none(findings);
}

mod the_checks_themselves {
    use super::*;

    #[test]
    fn comments_and_literals_are_not_code() {
        let source =
            "a /* b /* c */ d */ \"e \\\" f\" 'g' '\\'' 'h: r#\"i\" j\"# k // l\nm br\"n\"";
        let blank = code_only(source);
        let left: String = blank.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(left, "a 'h: k m");
        assert_eq!(blank.chars().count(), source.chars().count());
        assert_eq!(code_only("var\"x\""), "var   ");
    }

    #[test]
    fn rooms_are_found_in_every_form_of_path() {
        let code = "use crate::wal::X; use crate::{fs, model::{a, b}}; crate::store::open(); \
                    $crate::x!(); super::super::otlp::y; super::z; mycrate::q";
        let mut names: Vec<String> = rooms_named(code, 2).into_iter().map(|(_, n)| n).collect();
        names.sort();
        assert_eq!(names, ["fs", "model", "otlp", "store", "wal"]);
    }

    #[test]
    fn upward_sideward_and_unknown_imports_are_found() {
        assert!(upward_imports("wal", 2, "use crate::wal::a; use crate::fs::Fs;").is_empty());
        for wrong in ["crate::otlp::x", "crate::store::y", "crate::Error", "super::super::store"] {
            assert_eq!(upward_imports("wal", 2, wrong).len(), 1, "{wrong}");
        }
        assert_eq!(upward_imports("cellar", 1, "").len(), 1);
        let code =
            "fn a() {}\n#[cfg(test)]\nmod tests { use crate::store::x; fn b() {} }\nfn c() {}";
        assert!(upward_imports("wal", 2, &without_tests(code)).is_empty());
        assert!(without_tests(code).contains("fn c()"));
        assert!(
            !without_tests("#[cfg(test)]\n#[path = \"x\"]\nmod tests;\nfn c() {}").contains("mod")
        );
    }

    #[test]
    fn long_functions_and_wide_lines_are_found() {
        let body = "    x();\n".repeat(80);
        let code = format!("trait T {{ fn a(&self); }}\nfn b() {{\n{body}}}\nfn c() {{}}\n");
        assert_eq!(long_functions(&code), [("b".to_owned(), 2, 82)]);
        assert_eq!(wide_lines(&format!("a\n{}\n", "b".repeat(101))), [(2, 101)]);
    }

    #[test]
    fn quoted_errors_are_taken_apart() {
        let heading = "### `DIR is open for writing by process PID`";
        assert_eq!(quoted_error(heading).unwrap(), ["is open for writing by process"]);
        assert!(quoted_error("### Cast errors").is_none());
        assert_eq!(joined_literals("a b \\\n      c"), "a b c");
    }

    #[test]
    fn types_without_an_example_are_found() {
        let lib = "pub use a::{Good, Bad};\npub use b::Worse;\npub use c::{d, e};\nmod x;";
        let types = public_types(&format!("\n{lib}"));
        assert_eq!(types, ["Good", "Bad", "Worse"]);
        let source = "/// A.\n///\n/// ```\n/// ```\n#[a(\n    b\n)]\npub struct Good;\n\n\
                      /// B.\npub enum Bad {}\n\n/// C.\npub struct Own;\npub trait Worse<T> {}\n";
        let found = without_example(source, &types);
        assert_eq!(found, [(11, "Bad".to_owned()), (15, "Worse".to_owned())]);
    }

    #[test]
    fn strange_characters_banned_words_and_titles_are_found() {
        assert_eq!(strange_characters("a\n\u{2502} \u{2026}\nn\u{e4}\n"), [(3, '\u{e4}')]);
        let lines = |may_sleep| {
            let found = banned_words("a\ntodo!();\nstd::thread::sleep(a)", may_sleep);
            found.into_iter().map(|(line, ..)| line).collect::<Vec<_>>()
        };
        assert_eq!((lines(true), lines(false)), (vec![2], vec![2, 3]));
        assert_eq!(titles("# a\n\n```\n# b\n```\n## c\n"), 1);
        assert_eq!(titles("# a\n# b\n"), 2);
    }
}
