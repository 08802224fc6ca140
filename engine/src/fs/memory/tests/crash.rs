//! What power loss may leave.

use super::*;

fn every_model() -> Vec<CrashModel> {
    let mut models = vec![CrashModel::LoseUnsynced, CrashModel::KeepAll, CrashModel::NamesFirst];
    for seed in 0..40 {
        models.push(CrashModel::Random { seed });
        models.push(CrashModel::Torn { seed, sector: 512 });
        models.push(CrashModel::Torn { seed, sector: 4096 });
        models.push(CrashModel::LengthsFirst { seed });
    }
    models
}

#[test]
fn what_was_synced_survives_every_crash() {
    let (fs, dir) = disk_with_dir();
    let path = dir.join("a");
    create_durably(&fs, &path, &[7; 10_000]).unwrap();
    fs.open_write(&path).unwrap().write_all_at(&[8; 10_000], 10_000).unwrap();
    for model in every_model() {
        let after = fs.crash(model);
        let bytes = read_all(&after, &path, 1 << 20).unwrap();
        assert!(bytes.starts_with(&[7; 10_000]), "{model:?}");
        assert!(bytes[10_000..].iter().all(|b| matches!(b, 0 | 8)), "{model:?}");
        assert_eq!(after.list(dir).unwrap(), ["a"], "{model:?}");
    }
    assert_eq!(fs.crash(CrashModel::LoseUnsynced).used_bytes(), 10_000);
    assert_eq!(fs.crash(CrashModel::KeepAll).used_bytes(), 20_000);
}

#[test]
fn a_synced_file_without_a_synced_name_may_be_gone() {
    let (fs, dir) = disk_with_dir();
    let file = fs.create(&dir.join("a")).unwrap();
    file.write_all_at(b"bytes", 0).unwrap();
    file.sync_data().unwrap();
    assert!(fs.crash(CrashModel::LoseUnsynced).list(dir).unwrap().is_empty());
    assert_eq!(fs.crash(CrashModel::KeepAll).list(dir).unwrap(), ["a"]);
    fs.sync_dir(dir).unwrap();
    assert_eq!(fs.crash(CrashModel::LoseUnsynced).list(dir).unwrap(), ["a"]);
}

#[test]
fn a_name_without_its_bytes_is_possible_when_the_rename_came_before_the_sync() {
    let (fs, dir) = disk_with_dir();
    let file = fs.create(&dir.join("a.tmp")).unwrap();
    file.write_all_at(b"bytes", 0).unwrap();
    fs.rename(&dir.join("a.tmp"), &dir.join("a")).unwrap();
    fs.sync_dir(dir).unwrap();
    let after = fs.crash(CrashModel::LoseUnsynced);
    assert_eq!(after.list(dir).unwrap(), ["a"]);
    assert_eq!(text(&after, &dir.join("a")), "");
}

#[test]
fn a_rename_between_directories_never_loses_the_file() {
    for sync in [None, Some("/d"), Some("/q"), Some("both")] {
        let (fs, dir) = disk_with_dir();
        fs.create_dir_all(Path::new("/q")).unwrap();
        create_durably(&fs, &dir.join("a"), b"a").unwrap();
        fs.rename(&dir.join("a"), Path::new("/q/a")).unwrap();
        for path in ["/d", "/q"] {
            if sync == Some(path) || sync == Some("both") {
                fs.sync_dir(Path::new(path)).unwrap();
            }
        }
        for model in every_model() {
            let after = fs.crash(model);
            let here = after.exists(&dir.join("a")).unwrap();
            let there = after.exists(Path::new("/q/a")).unwrap();
            assert!(here || there, "{sync:?} {model:?}");
            assert!(sync != Some("both") || (!here && there), "{model:?}");
        }
    }
}

#[test]
fn a_crash_may_leave_any_subset_of_unsynced_writes_and_sectors() {
    let (fs, dir) = disk_with_dir();
    let path = dir.join("a");
    create_durably(&fs, &path, &[0; 4096]).unwrap();
    let file = fs.open_write(&path).unwrap();
    file.write_all_at(&[1; 1024], 0).unwrap();
    file.write_all_at(&[2; 1024], 2048).unwrap();
    let (mut subsets, mut torn) = ([false; 4], false);
    for model in every_model() {
        let bytes = read_all(&fs.crash(model), &path, 1 << 20).unwrap();
        match model {
            CrashModel::Random { .. } => {
                let (first, second) = (bytes[0] == 1, bytes[2048] == 2);
                subsets[usize::from(first) + 2 * usize::from(second)] = true;
                assert_eq!(bytes[0], bytes[1023]);
            }
            CrashModel::Torn { sector: 512, .. } => torn |= bytes[0] != bytes[512],
            _ => {}
        }
    }
    assert_eq!(subsets, [true; 4]);
    assert!(torn);
}

#[test]
fn a_crash_with_the_same_seed_leaves_the_same_disk_and_free_locks() {
    let (fs, dir) = disk_with_dir();
    let _held = fs.lock(&dir.join("LOCK")).unwrap();
    let file = fs.create(&dir.join("a")).unwrap();
    for at in 0..100 {
        file.write_all_at(&[at; 100], u64::from(at) * 50).unwrap();
    }
    fs.sync_dir(dir).unwrap();
    for seed in 0..10 {
        let model = CrashModel::Torn { seed, sector: 512 };
        let (one, two) = (fs.crash(model), fs.crash(model));
        assert_eq!(text(&one, &dir.join("a")), text(&two, &dir.join("a")));
        drop(one.lock(&dir.join("LOCK")).unwrap());
    }
    assert!(matches!(fs.lock(&dir.join("LOCK")), Err(Error::Locked { .. })));
}

#[test]
fn lengths_may_come_first_and_what_stands_there_is_zeros() {
    let (fs, dir) = disk_with_dir();
    let path = dir.join("a");
    create_durably(&fs, &path, b"synced").unwrap();
    let file = fs.open_write(&path).unwrap();
    file.write_all_at(b"S", 0).unwrap();
    file.write_all_at(b"new", 6).unwrap();
    file.allocate(12).unwrap();
    let mut names = [false; 2];
    fs.create(&dir.join("b")).unwrap();
    for seed in 0..20 {
        let after = fs.crash(CrashModel::LengthsFirst { seed });
        assert_eq!(text(&after, &path), "synced\0\0\0\0\0\0");
        names[usize::from(after.exists(&dir.join("b")).unwrap())] = true;
    }
    assert_eq!(names, [true; 2]);
    file.set_len(3).unwrap();
    assert_eq!(text(&fs.crash(CrashModel::LengthsFirst { seed: 0 }), &path), "syn");
}

#[test]
fn names_may_come_first_and_lead_to_files_without_their_bytes() {
    let (fs, dir) = disk_with_dir();
    let path = dir.join("a");
    create_durably(&fs, &path, b"old").unwrap();
    fs.create(&dir.join("a.tmp")).unwrap().write_all_at(b"new", 0).unwrap();
    fs.rename(&dir.join("a.tmp"), &path).unwrap();
    let after = fs.crash(CrashModel::NamesFirst);
    assert_eq!(after.list(dir).unwrap(), ["a"]);
    assert_eq!(text(&after, &path), "");
    assert_eq!(text(&fs.crash(CrashModel::LoseUnsynced), &path), "old");
}

#[test]
fn two_names_of_a_file_are_two_names_of_one_file_after_a_crash() {
    let (fs, dir) = disk_with_dir();
    let (a, b) = (dir.join("a"), dir.join("b"));
    create_durably(&fs, &a, b"bytes").unwrap();
    fs.hard_link(&a, &b).unwrap();
    assert_eq!(fs.used_bytes(), 5);
    assert_eq!(fs.crash(CrashModel::LoseUnsynced).list(dir).unwrap(), ["a"]);
    fs.sync_dir(dir).unwrap();
    fs.open_write(&a).unwrap().write_all_at(&[7; 5_000], 0).unwrap();
    for model in every_model() {
        let after = fs.crash(model);
        let bytes = read_all(&after, &a, 1 << 20).unwrap();
        assert_eq!(read_all(&after, &b, 1 << 20).unwrap(), bytes, "{model:?}");
        after.open_write(&a).unwrap().write_all_at(b"B", 0).unwrap();
        assert!(text(&after, &b).starts_with('B'), "{model:?}");
        after.remove(&a).unwrap();
        assert!(text(&after, &b).starts_with('B'), "{model:?}");
    }
}
