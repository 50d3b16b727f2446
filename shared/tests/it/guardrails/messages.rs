//! What a person reads whose guardrails file is refused: file, line, what is wrong and what to write instead.

use tourniquet::guardrails::Guardrails;

/// The first five lines of a file that holds together.
const HEAD: &str = "version = 1\nmode = \"contain\"\n\n[default]\nmode = \"propose\"";

/// Why a file that goes on with `rest`, from line 6, is refused.
fn refused_after_head(rest: &str) -> String {
    refused(&format!("{HEAD}{rest}"))
}

fn refused(text: &str) -> String {
    Guardrails::parse("guardrails.toml", text).expect_err("a file that must be refused").to_string()
}

#[test]
fn the_head_alone_holds_together() {
    assert!(Guardrails::parse("guardrails.toml", HEAD).is_ok());
}

#[test]
fn an_unknown_key_names_the_nearest_one() {
    insta::assert_snapshot!(refused(r#"version = 1
mode = "contain"
trused_products = []
[default]
mode = "propose""#), @"guardrails.toml:3: unknown key `trused_products`; did you mean `trusted_products`?");
}

#[test]
fn an_unknown_key_of_a_rule_names_the_nearest_one() {
    insta::assert_snapshot!(refused_after_head(r#"
[[rule]]
name = "a"
min_sevrity = 4.0
mode = "observe""#), @"guardrails.toml:8: unknown key `min_sevrity`; did you mean `min_severity`?");
}

#[test]
fn an_unknown_key_unlike_any_other_lists_them() {
    insta::assert_snapshot!(refused_after_head(r#"
[[protect]]
zzz = 1
because = "x""#), @"guardrails.toml:7: unknown key `zzz`; known here: arn, unique_id, account, because");
}

#[test]
fn a_rule_without_a_mode_is_refused() {
    insta::assert_snapshot!(refused_after_head(r#"
[[rule]]
name = "a""#), @"guardrails.toml:6: missing key `mode`");
}

#[test]
fn a_file_without_a_default_is_refused() {
    insta::assert_snapshot!(refused(r#"version = 1
mode = "contain""#), @"guardrails.toml:1: missing key `default`");
}

#[test]
fn a_protection_without_its_reason_is_refused() {
    insta::assert_snapshot!(refused_after_head(r#"
[[protect]]
account = "111122223333""#), @"guardrails.toml:6: missing key `because`");
}

#[test]
fn a_value_of_the_wrong_type_is_refused() {
    insta::assert_snapshot!(refused_after_head(r#"
[[rule]]
name = "a"
min_severity = "high"
mode = "observe""#), @r#"guardrails.toml:8: invalid type: string "high""#);
}

#[test]
fn a_text_where_a_list_belongs_is_refused() {
    insta::assert_snapshot!(refused_after_head(r#"
[[rule]]
name = "a"
types = "Trojan:*"
mode = "observe""#), @r#"guardrails.toml:8: invalid type: string "Trojan:*""#);
}

#[test]
fn an_unknown_mode_names_the_nearest_one() {
    insta::assert_snapshot!(refused_after_head(r#"
[[rule]]
name = "a"
mode = "contian""#), @"guardrails.toml:8: unknown variant `contian`; did you mean `contain`?");
}

#[test]
fn an_unknown_mode_unlike_any_other_lists_them() {
    insta::assert_snapshot!(refused(r#"version = 1
mode = "off"
[default]
mode = "propose""#), @"guardrails.toml:2: unknown variant `off`; known here: observe, propose, contain");
}

#[test]
fn a_severity_outside_its_range_is_refused() {
    insta::assert_snapshot!(refused_after_head(r#"
[[rule]]
name = "a"
min_severity = 11
mode = "observe""#), @"guardrails.toml:8: severity 11 is outside 0.0 to 10.0");
}

#[test]
fn a_severity_that_is_no_number_is_refused() {
    insta::assert_snapshot!(refused_after_head(r#"
[[rule]]
name = "a"
below_severity = nan
mode = "observe""#), @"guardrails.toml:8: severity NaN is outside 0.0 to 10.0");
}

#[test]
fn severities_that_nothing_satisfies_are_refused() {
    insta::assert_snapshot!(refused_after_head(r#"
[[rule]]
name = "a"
min_severity = 7.0
below_severity = 4.0
mode = "observe""#), @"guardrails.toml:8: no severity is at least 7 and below 4");
}

#[test]
fn a_rule_that_contradicts_an_earlier_one_is_refused() {
    insta::assert_snapshot!(refused_after_head(r#"
[[rule]]
name = "broad"
types = ["Trojan:*"]
mode = "contain"

[[rule]]
name = "narrow"
types = ["Trojan:EC2/*"]
mode = "observe""#), @"guardrails.toml:12: rule `narrow` can never decide: rule `broad` on line 7 matches first; they contradict each other: put the narrower rule first");
}

#[test]
fn a_rule_that_can_never_be_reached_is_refused() {
    insta::assert_snapshot!(refused_after_head(r#"
[[rule]]
name = "all"
mode = "propose"

[[rule]]
name = "some"
targets = ["user"]
mode = "propose""#), @"guardrails.toml:11: rule `some` can never decide: rule `all` on line 7 matches first; delete it");
}

#[test]
fn two_rules_of_one_name_are_refused() {
    insta::assert_snapshot!(refused_after_head(r#"
[[rule]]
name = "a"
types = ["A:*"]
mode = "observe"

[[rule]]
name = "a"
types = ["B:*"]
mode = "observe""#), @"guardrails.toml:12: rule `a` is defined twice");
}

#[test]
fn an_environment_not_defined_names_the_nearest_one() {
    insta::assert_snapshot!(refused_after_head(r#"
[[environment]]
name = "production"
accounts = ["111122223333"]

[[rule]]
name = "a"
environments = ["prodution"]
mode = "observe""#), @"guardrails.toml:12: environment `prodution` is not defined; did you mean `production`?");
}

#[test]
fn two_environments_of_one_name_are_refused() {
    insta::assert_snapshot!(refused_after_head(r#"
[[environment]]
name = "a"
accounts = ["111122223333"]

[[environment]]
name = "a"
accounts = ["444455556666"]"#), @"guardrails.toml:11: environment `a` is defined twice");
}

#[test]
fn an_account_in_two_environments_is_refused() {
    insta::assert_snapshot!(refused_after_head(r#"
[[environment]]
name = "a"
accounts = ["111122223333"]

[[environment]]
name = "b"
accounts = [
  "444455556666",
  "111122223333",
]"#), @"guardrails.toml:14: account 111122223333 already belongs to another environment; an account has one environment");
}

#[test]
fn an_environment_by_an_unprotected_tag_is_refused() {
    insta::assert_snapshot!(refused_after_head(r#"
[[environment]]
name = "a"
tag = { key = "environment", value = "production" }"#), @"guardrails.toml:8: an environment by tag needs a protected tag; an attacker writes tags too: add `protected_by_scp = true` once an SCP keeps everyone else from writing this one");
}

#[test]
fn an_environment_by_a_tag_said_to_be_unprotected_is_refused() {
    insta::assert_snapshot!(refused_after_head(r#"
[[environment]]
name = "a"
tag = { key = "environment", value = "production", protected_by_scp = false }"#), @"guardrails.toml:8: an environment by tag needs a protected tag; an attacker writes tags too: add `protected_by_scp = true` once an SCP keeps everyone else from writing this one");
}

#[test]
fn an_environment_of_nothing_is_refused() {
    insta::assert_snapshot!(refused_after_head(r#"
[[environment]]
name = "a""#), @"guardrails.toml:7: environment `a` holds nothing; give `accounts` or `tag`");
}

#[test]
fn a_kind_of_target_that_does_not_exist_is_refused() {
    insta::assert_snapshot!(refused_after_head(r#"
[[rule]]
name = "a"
targets = ["role"]
mode = "observe""#), @"guardrails.toml:8: `role` is no kind of target; did you mean `role_session`?");
}

#[test]
fn a_protection_by_a_pattern_is_refused() {
    insta::assert_snapshot!(refused_after_head(r#"
[[protect]]
arn = "arn:aws:iam::111122223333:role/break-glass-*"
because = "x""#), @"guardrails.toml:7: a protection may not hold `*`; name it exactly: whoever can create roles can satisfy a pattern");
}

#[test]
fn a_protection_of_a_session_is_refused_and_names_the_role() {
    insta::assert_snapshot!(refused_after_head(r#"
[[protect]]
arn = "arn:aws-us-gov:sts::111122223333:assumed-role/break-glass/oncall"
because = "x""#), @"guardrails.toml:7: a session comes and goes; its role is what can be protected; write the role: arn:aws-us-gov:iam::111122223333:role/PATH/NAME");
}

#[test]
fn a_protection_by_a_malformed_arn_is_refused() {
    insta::assert_snapshot!(refused_after_head(r#"
[[protect]]
because = "x"
arn = "arn:aws:iam:111122223333:role/break-glass""#), @"guardrails.toml:8: `arn:aws:iam:111122223333:role/break-glass` is not an ARN");
}

#[test]
fn a_protection_by_a_malformed_unique_id_is_refused() {
    insta::assert_snapshot!(refused_after_head(r#"
[[protect]]
unique_id = "AIDA"
because = "x""#), @"guardrails.toml:7: `AIDA` is not the unique id of an IAM user or role");
}

#[test]
fn a_protection_by_a_malformed_account_is_refused() {
    insta::assert_snapshot!(refused_after_head(r#"
[[protect]]
account = "1111-2222-3333"
because = "x""#), @"guardrails.toml:7: `1111-2222-3333` is not a twelve-digit account id");
}

#[test]
fn an_account_id_written_as_a_number_is_refused() {
    insta::assert_snapshot!(refused_after_head(r#"
[[protect]]
account = 111122223333
because = "x""#), @"guardrails.toml:7: invalid type: integer `111122223333`");
}

#[test]
fn a_protection_with_two_names_is_refused() {
    insta::assert_snapshot!(refused_after_head(r#"
[[protect]]
account = "111122223333"
unique_id = "AIDASVCBUILDQ7EXAMPLE"
because = "x""#), @"guardrails.toml:6: a protection names one of `arn`, `unique_id`, `account`");
}

#[test]
fn a_protection_without_a_name_is_refused() {
    insta::assert_snapshot!(refused_after_head(r#"
[[protect]]
because = "x""#), @"guardrails.toml:6: a protection names one of `arn`, `unique_id`, `account`");
}

#[test]
fn a_protection_with_an_empty_reason_is_refused() {
    insta::assert_snapshot!(refused_after_head(r#"
[[protect]]
account = "111122223333"
because = " ""#), @"guardrails.toml:8: a protection needs its reason in `because`");
}

#[test]
fn a_malformed_account_in_a_rule_is_refused() {
    insta::assert_snapshot!(refused_after_head(r#"
[[rule]]
name = "a"
accounts = ["12345"]
mode = "observe""#), @"guardrails.toml:8: `12345` is not a twelve-digit account id");
}

#[test]
fn a_pattern_with_two_stars_is_refused() {
    insta::assert_snapshot!(refused_after_head(r#"
[[rule]]
name = "a"
types = [
  "Trojan:*",
  "Back**",
]
mode = "observe""#), @"guardrails.toml:10: `Back**` is no pattern: write a name in which `*` stands for any run of characters");
}

#[test]
fn an_empty_pattern_is_refused() {
    insta::assert_snapshot!(refused_after_head(r#"
[[rule]]
name = "a"
types = [""]
mode = "observe""#), @"guardrails.toml:8: `` is no pattern: write a name in which `*` stands for any run of characters");
}

#[test]
fn a_pattern_with_a_space_is_refused() {
    insta::assert_snapshot!(refused(r#"version = 1
mode = "contain"
trusted_products = ["arn:aws: *"]

[default]
mode = "propose""#), @"guardrails.toml:3: `arn:aws: *` is no pattern: write a name in which `*` stands for any run of characters");
}

#[test]
fn a_file_of_another_version_is_refused() {
    insta::assert_snapshot!(refused(r#"# a comment
version = 2
mode = "contain"

[default]
mode = "propose""#), @"guardrails.toml:2: this version of Tourniquet reads `version = 1`");
}

#[test]
fn a_file_without_a_version_is_refused() {
    insta::assert_snapshot!(refused(r#"mode = "contain"

[default]
mode = "propose""#), @"guardrails.toml:1: missing key `version`");
}

#[test]
fn text_that_is_no_toml_is_refused() {
    insta::assert_snapshot!(refused(r#"version = 1
mode = "contain

[default]"#), @"guardrails.toml:2: invalid basic string");
}

#[test]
fn json_is_refused() {
    insta::assert_snapshot!(refused(r#"{ "version": 1 }"#), @"guardrails.toml:1: invalid key-value pair");
}

#[test]
fn a_key_given_twice_is_refused() {
    insta::assert_snapshot!(refused(r#"version = 1
mode = "contain"
mode = "observe""#), @"guardrails.toml:3: duplicate key");
}

#[test]
fn an_empty_file_is_refused() {
    insta::assert_snapshot!(refused(""), @"guardrails.toml:1: missing key `version`");
}

#[test]
fn a_budget_is_refused_with_its_line_and_what_to_write_instead() {
    let refused = |rest: &str| refused_after_head(&format!("\n[budget]\n{rest}"));
    insta::assert_snapshot!(refused("per_account_per_hour = 0"), @r#"guardrails.toml:7: a budget of 0 is outside 1 to 10000; to contain nothing by itself, write mode = "propose" at the top of the file"#);
    insta::assert_snapshot!(refused("total_per_hour = -1"), @"guardrails.toml:7: a budget of -1 is outside 1 to 10000; leave the key out for no bound");
    insta::assert_snapshot!(refused("total_per_hour = 99999999999"), @"guardrails.toml:7: a budget of 99999999999 is outside 1 to 10000; leave the key out for no bound");
    insta::assert_snapshot!(refused("per_account_per_hour = 30\ntotal_per_hour = 20"), @"guardrails.toml:7: per_account_per_hour 30 is more than total_per_hour 20: it could never be used up");
    insta::assert_snapshot!(refused("fleet_share = 0.0"), @"guardrails.toml:7: fleet_share 0 is not a share: more than 0.0, at most 1.0; a third is 0.34; leave the key out for no bound");
    insta::assert_snapshot!(refused("\nfleet_share = 34.0"), @"guardrails.toml:8: fleet_share 34 is not a share: more than 0.0, at most 1.0; a third is 0.34; leave the key out for no bound");
    insta::assert_snapshot!(refused("fleet_share = nan"), @"guardrails.toml:7: fleet_share NaN is not a share: more than 0.0, at most 1.0; a third is 0.34; leave the key out for no bound");
    insta::assert_snapshot!(refused("per_hour = 5"), @"guardrails.toml:7: unknown key `per_hour`; did you mean `per_account_per_hour`?");
}

#[test]
fn each_part_of_a_budget_may_be_left_out() {
    for rest in [
        "",
        "per_account_per_hour = 1",
        "total_per_hour = 10000",
        "fleet_share = 1.0",
        "per_account_per_hour = 20\ntotal_per_hour = 20",
    ] {
        assert!(Guardrails::parse("guardrails.toml", &format!("{HEAD}\n[budget]\n{rest}")).is_ok(), "{rest}");
    }
}
