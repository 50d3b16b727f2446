use tourniquet::guardrails::Guardrails;
fn refusal(text: &str) -> String {
    Guardrails::parse("guardrails.toml", text).expect_err("refused").to_string()
}
const HEAD: &str = "version = 1\nmode = \"contain\"\n\n[default]\nmode = \"propose\"\n";
#[test]
fn probe() {
    let mut out = String::new();
    for line in include_str!("/tmp/cases.txt").split("\n====\n") {
        let (name, body) = line.split_once('\n').expect("x");
        let text = if let Some(raw) = body.strip_prefix("RAW\n") { raw.to_owned() } else { format!("{HEAD}{body}") };
        out += &format!("{name}\t{}\n", match Guardrails::parse("guardrails.toml", &text) { Ok(_) => "ACCEPTED".to_owned(), Err(e) => e.to_string() });
    }
    std::fs::write("/tmp/out.txt", out).expect("x");
    let _ = refusal("");
}
