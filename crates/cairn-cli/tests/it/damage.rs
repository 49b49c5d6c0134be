//! Bytes flipped in the files: found by `verify`, never an answer that is wrong.

use super::run::{Place, Random, cairn, files};

const SUM: &str = "SELECT count(*) AS n, sum(a) AS s, min(b) AS b FROM t";
const RIGHT: &str = "n,s,b\n5000,12502500,row 1 of many\n";

fn filled() -> Place {
    let place = Place::new();
    place.sql(
        "CREATE TABLE t (a bigint PRIMARY KEY, b text); \
         INSERT INTO t SELECT a, 'row ' || a || ' of many' FROM generate_series(1, 5000) AS g(a)",
    );
    cairn(["compact", &place.db()]).ok();
    assert_eq!(place.sql(SUM), RIGHT);
    place
}

#[test]
fn a_flipped_byte_is_found_and_named() {
    let place = filled();
    let file = files(&place.db(), "sst").pop().unwrap();
    let sound = std::fs::read(&file).unwrap();
    let mut bytes = sound.clone();
    bytes[sound.len() / 4] ^= 0x01;
    std::fs::write(&file, &bytes).unwrap();
    let ran = cairn(["verify", &place.db()]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(ran.out.contains(name) && ran.out.contains("offset"), "{}", ran.out);
    let err = cairn([place.db().as_str(), SUM]).fails(3);
    assert!(err.starts_with("ERROR:  ") && err.contains(name), "{err}");
    std::fs::write(&file, &sound).unwrap();
    assert_eq!(place.sql(SUM), RIGHT, "nothing else was changed");
}

/// Any byte of any file: an error or the right answer, and no panic.
#[test]
fn no_flipped_byte_gives_a_wrong_answer() {
    let place = filled();
    let mut random = Random::new();
    let mut all: Vec<_> = std::fs::read_dir(place.db()).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.retain(|path| path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0));
    all.sort();
    let originals: Vec<_> = all.iter().map(|path| std::fs::read(path).unwrap()).collect();
    for _ in 0..12 {
        let which = random.below(all.len() as u64) as usize;
        let mut bytes = originals[which].clone();
        let at = random.below(bytes.len() as u64) as usize;
        bytes[at] ^= 1 << random.below(8);
        std::fs::write(&all[which], &bytes).unwrap();
        let ran = cairn([place.db().as_str(), SUM]);
        let what = format!("{} at {at}: {ran:?}", all[which].display());
        assert!(!ran.err.contains("panicked"), "{what}");
        match ran.code {
            Some(0) => assert_eq!(ran.out, RIGHT, "{what}"),
            Some(1 | 3) => assert!(ran.err.starts_with("ERROR:  "), "{what}"),
            _ => panic!("{what}"),
        }
        // The run may have written files of its own: everything is put back as it was.
        for entry in std::fs::read_dir(place.db()).unwrap() {
            let path = entry.unwrap().path();
            if !all.contains(&path) {
                std::fs::remove_file(path).unwrap();
            }
        }
        for (path, bytes) in all.iter().zip(&originals) {
            std::fs::write(path, bytes).unwrap();
        }
    }
    assert_eq!(place.sql(SUM), RIGHT);
}

#[test]
fn a_file_cut_short_is_found() {
    let place = filled();
    let file = files(&place.db(), "sst").pop().unwrap();
    let sound = std::fs::read(&file).unwrap();
    std::fs::write(&file, &sound[..sound.len() / 2]).unwrap();
    assert_eq!(cairn(["verify", &place.db()]).code, Some(3));
    let err = cairn([place.db().as_str(), SUM]).fails(3);
    assert!(err.starts_with("ERROR:  "), "{err}");
}

#[test]
fn repair_saves_what_is_undamaged_and_keeps_the_rest() {
    let place = filled();
    assert_eq!(cairn(["repair", &place.db()]).ok(), "no damage found, nothing was changed\n");
    // A byte in the middle of the only sorted file: some rows, or all of an index, are lost.
    let file = files(&place.db(), "sst").pop().unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes.len() / 3;
    bytes[at] ^= 0x10;
    std::fs::write(&file, &bytes).unwrap();
    let ran = cairn(["repair", &place.db()]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(
        ran.out.contains("damage: ") && ran.out.contains(name) && ran.out.contains("lost: "),
        "{}",
        ran.out
    );
    assert_eq!(cairn(["verify", &place.db()]).code, Some(0), "what was saved is sound");
    let left: u64 = place.sql("SELECT count(*) FROM t").lines().nth(1).unwrap().parse().unwrap();
    assert!(left > 4000 && left < 5000, "{left} of 5000 rows");
    let aside = format!("{}.damaged", place.db());
    assert_eq!(std::fs::read(std::path::Path::new(&aside).join(name)).unwrap(), bytes, "kept as it was");
    assert_eq!(cairn(["repair", "/nowhere/at all"]).code, Some(1));
}
