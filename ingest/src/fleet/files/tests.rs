use super::*;

struct Bed {
    folder: tempfile::TempDir,
    source: FileSource,
}

impl Bed {
    /// A settings file without cameras and a folder beside it with these files.
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("cameras")).unwrap();
        let settings = folder.path().join("city.toml");
        fs::write(&settings, "[ingest]\ncameras = \"cameras\"\n").unwrap();
        let bed = Self {
            source: FileSource::new(CameraFiles { settings, folder: Some(folder.path().join("cameras")) }),
            folder,
        };
        files.iter().for_each(|(name, text)| bed.write(name, text));
        bed
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("cameras").join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Good ids, refused ids, number of mistakes.
    fn read(&mut self) -> (String, String, usize) {
        let Reading { cameras, mistakes } = self.source.read();
        let ids = |good| {
            let ids = cameras.iter().filter(|wanted| wanted.camera.is_ok() == good).map(|wanted| wanted.id.to_string());
            ids.collect::<Vec<_>>().join(" ")
        };
        (ids(true), ids(false), mistakes.len())
    }

    fn expect(&mut self, good: &str, refused: &str, n_mistakes: usize) {
        assert_eq!(
            self.read(),
            (good.to_owned(), refused.to_owned(), n_mistakes),
            "{:#?}",
            self.source.read().mistakes
        );
    }
}

fn rows(ids: &[&str]) -> String {
    ids.iter().map(|id| format!("[[camera]]\nid = \"{id}\"\nurl = \"rtsp://10.0.0.1/{id}\"\n")).collect()
}

const BAD: &str = "[[camera]]\nid = \"bad\"\nurl = \"http://10.0.0.1/1\"\n";

#[test]
fn in_a_new_file_one_bad_row_is_one_bad_camera() {
    let mut bed = Bed::new(&[("a.toml", &format!("{}{BAD}{}", rows(&["a"]), rows(&["b"])))]);
    bed.expect("a b", "bad", 1);
    let Reading { cameras, .. } = bed.source.read();
    let cause = cameras.iter().find_map(|wanted| wanted.camera.as_ref().err()).unwrap();
    assert!(cause.contains("a.toml:6: camera[1].url"), "{cause}");
}

#[test]
fn an_invalid_change_is_refused_whole() {
    let mut bed = Bed::new(&[("a.toml", &rows(&["a", "b"])), ("other.toml", &rows(&["c"]))]);
    bed.expect("a b c", "", 0);
    for text in [&format!("{}{BAD}", rows(&["a", "new"])), "[[camera]\n", "speed = 3\n"] {
        bed.write("a.toml", text);
        bed.write("other.toml", &rows(&["c", "d"]));
        let (good, _, n_mistakes) = bed.read();
        assert_eq!((good.as_str(), n_mistakes > 0), ("a b c d", true), "{text}");
    }
    bed.write("a.toml", &rows(&["b", "new"]));
    bed.expect("b new c d", "", 0);
}

#[test]
fn only_what_is_removed_goes() {
    let mut bed = Bed::new(&[("a.toml", &rows(&["a"])), ("b.toml", &rows(&["b"]))]);
    bed.expect("a b", "", 0);
    fs::remove_file(bed.path("b.toml")).unwrap();
    bed.expect("a", "", 0);
    fs::rename(bed.path("a.toml"), bed.path("a.off")).unwrap();
    bed.expect("a", "", 1);
    fs::rename(bed.path(""), bed.folder.path().join("away")).unwrap();
    bed.expect("a", "", 1);
    fs::rename(bed.folder.path().join("away"), bed.path("")).unwrap();
    bed.write("c.toml", &rows(&["c"]));
    bed.expect("c", "", 0);
}

#[test]
fn an_emptied_file_takes_nothing_with_it() {
    let mut bed = Bed::new(&[("a.toml", &rows(&["a"]))]);
    bed.expect("a", "", 0);
    bed.write("a.toml", " \n");
    bed.expect("a", "", 1);
    bed.write("a.toml", "# all cameras were taken down\n");
    bed.expect("", "", 0);
}

#[test]
fn of_two_with_one_id_the_first_counts() {
    let mut bed = Bed::new(&[("a.toml", &rows(&["a", "b"])), ("b.toml", &rows(&["b", "c"]))]);
    bed.expect("a b c", "", 1);
}

#[test]
fn a_swapped_link_is_a_change() {
    let bed = Bed::new(&[]);
    let (old, new) = (bed.folder.path().join("v1"), bed.folder.path().join("v2"));
    fs::write(&old, rows(&["a"])).unwrap();
    fs::write(&new, rows(&["b"])).unwrap();
    let link = bed.path("a.toml");
    std::os::unix::fs::symlink(&old, &link).unwrap();
    let before = signature(bed.source.files());
    assert_eq!(before, signature(bed.source.files()));
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(&new, &link).unwrap();
    assert_ne!(before, signature(bed.source.files()));
}
