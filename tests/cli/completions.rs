//! Completions and manual pages.

use std::process::Command;

use crate::run::{both, output, rolecall};

#[test]
fn bash_completes_commands_and_flags() {
    let folder = tempfile::tempdir().unwrap();
    let script = output(rolecall(folder.path()).args(["completions", "bash"])).stdout;
    std::fs::write(folder.path().join("rolecall.bash"), script).unwrap();
    for (words, expected) in [("rolecall ser", "serve"), ("rolecall serve --datab", "--database-file")] {
        let complete = format!(
            "source rolecall.bash; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _rolecall rolecall \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let completed = output(Command::new("bash").args(["-c", &complete]).current_dir(folder.path()));
        assert!(both(&completed).lines().any(|word| word == expected), "{words}: {}", both(&completed));
    }
}

#[test]
fn every_shown_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let written = output(rolecall(folder.path()).args(["man", "."]));
    assert_eq!(written.status.code(), Some(0), "{}", both(&written));
    let page = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    for command in ["check", "serve", "sidecar"] {
        assert!(page("rolecall.1").contains(&format!("rolecall\\-{command}(1)")), "{command}");
    }
    assert!(page("rolecall-serve.1").contains("ROLECALL_DATABASE"));
    assert!(page("rolecall-keys-create.1").contains(".TH rolecall-keys-create 1"));
    assert!(!folder.path().join("rolecall-bench-echo.1").exists());
    let failed = output(rolecall(folder.path()).args(["man", "no/such/folder"]));
    assert_eq!(failed.status.code(), Some(1), "{}", both(&failed));
    assert!(both(&failed).contains("no/such/folder"), "{}", both(&failed));
}
