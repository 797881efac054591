from scripts.check_links import anchors, dead_links


def test_a_link_to_a_page_and_one_to_a_heading_are_alive(tmp_path):
    other = tmp_path / "other.md"
    other.write_text("# The `first` heading, of two\n")
    page = tmp_path / "page.md"
    page.write_text(
        "# Here\n[a](other.md) [b](other.md#the-first-heading-of-two) [c](#here) [d](https://registry.example)\n"
    )
    assert dead_links(page) == []
    assert anchors(other) == {"the-first-heading-of-two"}


def test_a_missing_page_and_a_missing_heading_are_dead(tmp_path):
    (tmp_path / "other.md").write_text("# One\n")
    page = tmp_path / "page.md"
    page.write_text("[a](missing.md) [b](other.md#two) [c](#nowhere)\n")
    assert dead_links(page) == ["missing.md", "other.md#two", "#nowhere"]


def test_links_in_code_are_no_links(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```sh\n[a](missing.md)\n```\n")
    assert dead_links(page) == []
