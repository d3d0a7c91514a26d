import pytest

from glmha_hf.inference.files import natural_order, plan_jobs


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (
        "in/b.png",
        "in/a10.JPG",
        "in/a9.jpg",
        "in/notes.txt",
        "in/.hidden.png",
        "in/s/c.png",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def jobs(*inputs, report=None, **settings):
    settings = {"output": None, "suffix": None, "recursive": False, "overwrite": False} | settings
    complain = report.append if report is not None else pytest.fail
    planned = plan_jobs(inputs, report=complain, **settings)
    return {str(job.source): str(job.target) for job in planned}


def test_a_folder_gives_its_pictures_in_natural_order(folder):
    assert list(jobs("in", output="out").items()) == [
        ("in/a9.jpg", "out/a9.jpg"),
        ("in/a10.JPG", "out/a10.JPG"),
        ("in/b.png", "out/b.png"),
    ]


def test_recursion_keeps_the_folders(folder):
    assert jobs("in", output="out", recursive=True)["in/s/c.png"] == "out/s/c.png"


def test_without_an_output_names_gain_a_suffix_and_results_are_no_sources(folder):
    (folder / "in/b_restored.png").touch()
    found = jobs("in")
    assert found["in/b.png"] == "in/b_restored.png"
    assert "in/b_restored.png" not in found


def test_an_output_inside_the_input_is_not_read_again(folder):
    (folder / "in/out").mkdir()
    (folder / "in/out/b.png").touch()
    assert "in/out/b.png" not in jobs("in", output="in/out", recursive=True)


def test_patterns_are_expanded(folder):
    assert list(jobs("in/*.jpg", output="out")) == ["in/a9.jpg"]
    assert "in/s/c.png" in jobs("**/*.png", output="out")
    with pytest.raises(FileNotFoundError, match=r"nothing matches in/\*.gif"):
        jobs("in/*.gif")


@pytest.mark.parametrize(
    ("output", "target"),
    [
        ("new.tif", "new.tif"),
        ("new", "new/b.png"),
        ("in.png/", "in.png/b.png"),
        ("in/s", "in/s/b.png"),
    ],
)
def test_one_file_goes_to_a_file_or_into_a_folder(folder, output, target):
    assert jobs("in/b.png", output=output) == {"in/b.png": target}


def test_a_file_named_twice_is_restored_once(folder):
    assert list(jobs("in/b.png", "in", "./in/b.png", output="out")).count("in/b.png") == 1
    assert len(jobs("in/b.png", "in", "./in/b.png", output="out")) == 3


def test_two_sources_for_one_target_are_refused(folder):
    (folder / "b.png").touch()
    with pytest.raises(ValueError, match="would both become out/b"):
        jobs("in/b.png", "b.png", output="out")


def test_a_picture_does_not_replace_itself_unasked(folder):
    with pytest.raises(ValueError, match="would replace itself"):
        jobs("in", output="in")
    assert jobs("in", output="in", overwrite=True)["in/b.png"] == "in/b.png"
    assert jobs("in", output="in", suffix="-new")["in/b.png"] == "in/b-new.png"


def test_a_suffix_leads_nowhere_else(folder):
    with pytest.raises(ValueError, match="--suffix is a part of a file's name"):
        jobs("in", suffix="/../x")


def test_an_empty_folder_is_reported(folder):
    (folder / "empty/inner").mkdir(parents=True)
    report = []
    assert jobs("empty", "in/b.png", report=report) == {"in/b.png": "in/b_restored.png"}
    assert report == [
        "empty: there are no pictures in this folder itself (-r looks in the folders inside it)"
    ]


def test_nine_comes_before_ten(tmp_path):
    names = [tmp_path / name for name in ("f10.png", "f9.png", "f1b.png")]
    assert [path.name for path in sorted(names, key=natural_order)] == [
        "f1b.png",
        "f9.png",
        "f10.png",
    ]


def test_results_in_the_same_folder_are_no_sources(folder):
    (folder / "in/b_r.png").touch()
    found = jobs("in", output="in", suffix="_r")
    assert found["in/b.png"] == "in/b_r.png"
    assert "in/b_r.png" not in found


def test_brackets_may_be_part_of_a_name(folder):
    (folder / "in/b[1].png").touch()
    assert jobs("in/b[1].png", output="clean.png") == {"in/b[1].png": "clean.png"}


def test_links_to_one_file_are_pictures_of_their_own(folder):
    for name in ("one.png", "two.png"):
        (folder / "links").mkdir(exist_ok=True)
        (folder / "links" / name).symlink_to("../in/b.png")
    assert list(jobs("links", output="out").values()) == ["out/one.png", "out/two.png"]
