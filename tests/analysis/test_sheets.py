import numpy as np
import pytest

from glmha_hf.analysis.qualitative import band_sheet, picture_sheet, with_inset
from glmha_hf.analysis.sheets import Panel, check_box, crop, draw_sheet, error_map, worst_box
from tests.data.scenes import draw_scene
from tests.evaluation.conftest import draw_cube


def test_a_sheet_lays_panels_of_one_width_in_rows():
    red = np.full((10, 20, 3), (200, 0, 0), np.uint8)
    sheet = draw_sheet([[Panel(red), Panel(red)], [Panel(red)]], panel_width=100)
    pixels = np.asarray(sheet)
    assert pixels.shape == (2 * 24 + 2 * 50 + 10, 2 * 24 + 210, 3)
    assert (pixels[24:74, 24:124] == (200, 0, 0)).all()
    assert (pixels[90:120, 140:] == 255).all()


def test_titles_captions_and_boxes_are_drawn():
    grey = np.full((40, 40), 90, np.uint8)
    plain = draw_sheet([[Panel(grey)]], panel_width=80)
    full = draw_sheet(
        [[Panel(grey, "a title", "a caption", ((5, 5, 10, 10),))]], title="all", panel_width=80
    )
    assert full.height > plain.height
    assert (np.asarray(full) == (255, 196, 0)).all(axis=-1).any()


def test_a_long_title_keeps_both_ends_within_its_panel():
    grey = np.full((10, 10), 90, np.uint8)
    sheet = np.asarray(draw_sheet([[Panel(grey, "w" * 300)]], panel_width=100))
    assert (sheet[:, 130:] == 255).all()


def test_an_empty_sheet_is_refused():
    with pytest.raises(ValueError, match="at least one panel"):
        draw_sheet([])


def test_the_error_map_goes_from_black_to_yellow():
    truth = np.zeros((4, 4, 3), np.uint8)
    prediction = truth.copy()
    prediction[0] = 64
    heat = error_map(prediction, truth, peak=64)
    np.testing.assert_array_equal(heat[0, 0], (252, 255, 164))
    np.testing.assert_array_equal(heat[3, 3], (0, 0, 4))


def test_the_worst_box_holds_the_greatest_error():
    difference = np.zeros((30, 40))
    difference[12:16, 20:26] = 1
    assert worst_box(difference, height=4, width=6) == (12, 20, 4, 6)
    assert worst_box(difference, height=99, width=99) == (0, 0, 30, 40)


def test_a_box_outside_the_picture_is_refused():
    with pytest.raises(ValueError, match="does not lie within the 20×30 picture"):
        check_box((5, 25, 10, 10), 20, 30)


def test_crops_of_pictures_and_cubes():
    assert crop(np.zeros((20, 30, 3)), (1, 2, 5, 6)).shape == (5, 6, 3)
    assert crop(np.zeros((31, 20, 30)), (1, 2, 5, 6), channels_first=True).shape == (31, 5, 6)


def test_a_picture_sheet_has_a_panel_a_version():
    truth = draw_scene(40, 50)
    degraded = truth.copy()
    degraded[::3] = 255
    one = picture_sheet(degraded, {"a": truth}, truth, (5, 5, 20, 25), title="t")
    two = picture_sheet(degraded, {"a": truth, "b": degraded}, truth, (5, 5, 20, 25))
    assert two.width == one.width + 270
    with pytest.raises(ValueError, match="does not lie within"):
        picture_sheet(degraded, {}, truth, (30, 30, 20, 25))


def test_a_band_sheet_has_a_row_a_cube():
    truth = draw_cube(28, 32, 32)
    one = band_sheet({"a": truth * 0.9}, truth)
    two = band_sheet(
        {"a": truth * 0.9, "b": truth}, truth, box=(4, 4, 8, 8), pixels=[(3, 3)], shown=(500, 600)
    )
    assert two.height > one.height
    assert two.width == one.width - 2 * 260


def test_an_inset_fills_the_lower_right_corner():
    picture = draw_scene(60, 80)
    framed = with_inset(picture, (0, 0, 10, 10))
    np.testing.assert_array_equal(framed[:30, :40], picture[:30, :40])
    np.testing.assert_array_equal(framed[-1, -1], picture[9, 9])
