//! The rules of an isolation group against those it should have.

use rstest::rstest;
use tourniquet::guardrails::{Allow, Direction, Peer};
use tourniquet::id::GroupId;
use tourniquet::step::{FoundRule, Opening, difference};

use crate::steps_instance::prepare;

const OWN: &str = "sg-0a1b2c3d4e5f60001";

fn allowed(peer: Peer) -> Opening {
    Opening::from(&Allow { direction: Direction::In, peer, port: 22, vpc: None, because: "bastion".to_owned() })
}

fn bastion() -> Opening {
    allowed(Peer::Cidr("203.0.113.10/32".to_owned()))
}

fn found(opening: Opening) -> FoundRule {
    FoundRule { id: "sgr-1".to_owned(), direction: opening.direction, opening: Some(opening) }
}

fn everything(direction: Direction, peer: Peer) -> Opening {
    Opening { direction, protocol: "-1".to_owned(), ports: None, peer, because: None }
}

fn cidr(text: &str) -> Peer {
    Peer::Cidr(text.to_owned())
}

fn own() -> Peer {
    Peer::Group(GroupId::parse(OWN).expect("a group"))
}

#[rstest]
#[case::default_egress(everything(Direction::Out, cidr("0.0.0.0/0")))]
#[case::default_egress_over_ipv6(everything(Direction::Out, cidr("::/0")))]
#[case::self_reference(everything(Direction::In, own()))]
#[case::prefix_list(everything(Direction::Out, Peer::PrefixList("pl-0123456789abcdef0".to_owned())))]
#[case::icmp(Opening { protocol: "icmp".to_owned(), ports: Some((-1, -1)), ..bastion() })]
#[case::udp(Opening { protocol: "udp".to_owned(), ..bastion() })]
#[case::every_protocol(Opening { protocol: "-1".to_owned(), ports: None, ..bastion() })]
#[case::wider_ports(Opening { ports: Some((22, 23)), ..bastion() })]
#[case::all_ports(Opening { ports: Some((0, 65535)), ..bastion() })]
#[case::other_port(Opening { ports: Some((2222, 2222)), ..bastion() })]
#[case::no_ports(Opening { ports: None, ..bastion() })]
#[case::other_direction(Opening { direction: Direction::Out, ..bastion() })]
#[case::wider_network(Opening { peer: cidr("203.0.113.0/24"), ..bastion() })]
#[case::other_address(Opening { peer: cidr("203.0.113.11/32"), ..bastion() })]
#[case::group_in_place_of_the_network(Opening { peer: own(), ..bastion() })]
fn a_rule_that_is_not_exactly_an_allowed_one_goes_and_the_allowed_one_comes(#[case] rule: Opening) {
    let (found, wanted) = ([found(rule)], [bastion()]);
    let difference = difference(&found, &wanted);
    assert_eq!(difference.surplus, [&found[0]]);
    assert_eq!(difference.missing, [&wanted[0]]);
    assert!(!difference.is_empty());
    assert_eq!(difference.describe(), "sgr-1 should not be there, 1 of its rules are missing");
}

#[rstest]
#[case::the_same(bastion(), bastion())]
#[case::described_otherwise(Opening { because: Some("who knows".to_owned()), ..bastion() }, bastion())]
#[case::not_described(Opening { because: None, ..bastion() }, bastion())]
#[case::network_with_host_bits(allowed(cidr("10.1.2.0/24")), allowed(cidr("10.1.2.3/24")))]
#[case::ipv6_written_out(allowed(cidr("2001:db8::/64")), allowed(cidr("2001:0db8:0:0::1/64")))]
#[case::prefix_list(allowed(Peer::PrefixList("pl-0123".to_owned())), allowed(Peer::PrefixList("pl-0123".to_owned())))]
#[case::group(allowed(own()), allowed(own()))]
fn a_rule_that_lets_the_same_through_stays(#[case] rule: Opening, #[case] wanted: Opening) {
    let (found, wanted) = ([found(rule)], [wanted]);
    assert!(difference(&found, &wanted).is_empty());
}

#[test]
fn a_rule_of_a_kind_nobody_knows_goes() {
    let unknown = [FoundRule { id: "sgr-9".to_owned(), direction: Direction::In, opening: None }];
    assert_eq!(difference(&unknown, &[]).surplus, [&unknown[0]]);
    assert!(difference(&[], &[]).is_empty());
}

#[test]
fn the_groups_of_a_vpc_let_through_what_is_allowed_there_and_everywhere() {
    let peers = |of| prepare(of, None).openings().into_iter().map(|opening| opening.peer).collect::<Vec<_>>();
    let everywhere = [cidr("203.0.113.10/32"), cidr("2001:db8::/64")];
    assert_eq!(peers(1), [everywhere.as_slice(), &[own()]].concat());
    assert_eq!(peers(2), [everywhere.as_slice(), &[Peer::PrefixList("pl-0123456789abcdef0".to_owned())]].concat());
    assert_eq!(peers(3), everywhere);
}

#[test]
fn the_open_group_is_open_both_ways_and_over_both_families() {
    let wanted = Opening::to_the_world();
    assert_eq!(wanted.len(), 4);
    // A new group lacks three of the four: AWS lets everything out over IPv4.
    let new = [found(everything(Direction::Out, cidr("0.0.0.0/0")))];
    let difference = difference(&new, &wanted);
    assert!(difference.surplus.is_empty());
    assert_eq!(difference.missing.len(), 3);
}
