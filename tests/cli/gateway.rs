//! The flags of AuthZEN and Envoy.

use crate::run::{both, output, rolecall};

#[test]
fn a_flag_of_a_gateway_that_cannot_be_used_is_named_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("broken.yaml"), "user: { header: x-user }\nrules: nothing\n").unwrap();
    std::fs::write(
        folder.path().join("forgeable.yaml"),
        concat!(
            "rules:\n",
            "- { path: '/orgs/{org}', user: { header: x-user }, org: { path: org }, permission: { constant: view } }\n",
        ),
    )
    .unwrap();
    std::fs::write(
        folder.path().join("unused.yaml"),
        "actions: [{ action: a, permission: p }, { action: a, permission: q }]",
    )
    .unwrap();
    for (arguments, said) in [
        (["--envoy-config", "missing.yaml"], &["`missing.yaml`", "No such file"][..]),
        (["--envoy-config", "broken.yaml"], &["`broken.yaml`", "line 2"]),
        (["--envoy-config", "forgeable.yaml"], &["`rules[0]`", "write `trusted_header`"]),
        (["--authzen-actions", "missing.yaml"], &["`missing.yaml` of --authzen-actions", "No such file"]),
        (["--authzen-actions", "unused.yaml"], &["`unused.yaml` of --authzen-actions", "`actions[1]` is never used"]),
        (["--http-listen", "50080"], &["--http-listen", "HOST:PORT"]),
        (["--authzen-url", "ftp://pdp.example"], &["--authzen-url", "http or https"]),
        (["--authzen-project", "No"], &["--authzen-project"]),
    ] {
        for command in [&["serve"][..], &["sidecar", "--upstream", "127.0.0.1:1", "--no-snapshot-file"]] {
            let refused = output(rolecall(folder.path()).args(command).args(arguments));
            let printed = both(&refused);
            assert!(!refused.status.success(), "{arguments:?}: {printed}");
            for text in said {
                assert!(printed.contains(text), "{text} is not in: {printed}");
            }
        }
    }
    assert!(!folder.path().join("rolecall.db").exists());
}
