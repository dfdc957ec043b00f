//! The files of packages, containers and clusters name only variables and commands that the binary has.

use std::path::{Path, PathBuf};

use crate::run::{both, output, rolecall};

/// The files of a folder and of its folders.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn every_variable_of_the_packaging_is_one_of_the_binary() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let commands = ["serve", "sidecar", "health"];
    let help = commands.map(|it| both(&output(rolecall(folder.path()).args([it, "--help"])))).concat();
    let packaging = files(&root.join("packaging/systemd")).into_iter().chain(files(&root.join("deploy")));
    let mut variables = 0;
    for file in packaging.chain([root.join("Containerfile")]) {
        let text = std::fs::read_to_string(&file).unwrap();
        for rest in text.split("ROLECALL_").skip(1) {
            let name: String = rest.chars().take_while(|c| c.is_ascii_uppercase() || *c == '_').collect();
            // The application of the example has it.
            let shown = ["=", "]"].map(|end| help.contains(&format!("[env: ROLECALL_{name}{end}")));
            let known = name == "SERVER" || shown.contains(&true);
            assert!(known, "{} names ROLECALL_{name}", file.display());
            variables += 1;
        }
    }
    assert!(variables > 25, "only {variables} variables");
}

#[test]
fn both_units_have_the_same_sandbox() {
    let sandbox = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd").join(name);
        let text = std::fs::read_to_string(path).unwrap();
        text[text.find("AmbientCapabilities=").unwrap()..].to_owned()
    };
    assert_eq!(sandbox("rolecall.service"), sandbox("sidecar/rolecall-sidecar.service"));
}
