"""The published chain that ours is held against, rewritten from its description with its own libraries.

HoVer-Net (Graham et al. 2019, Medical Image Analysis 58:101563): foreground and the horizontal and vertical distance of
each pixel from the middle of its instance; Sobel filters of those, markers, and a watershed.
"""

import cv2
import numpy as np
import scipy
import skimage
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import regionprops_table
from skimage.morphology import remove_small_objects
from skimage.segmentation import watershed

VERSIONS = f"scikit-image {skimage.__version__}, scipy {scipy.__version__}, OpenCV {cv2.__version__}"

PROPERTIES = (
    "area",
    "area_bbox",
    "area_convex",
    "axis_major_length",
    "axis_minor_length",
    "bbox",
    "centroid",
    "eccentricity",
    "equivalent_diameter_area",
    "euler_number",
    "extent",
    "feret_diameter_max",
    "intensity_max",
    "intensity_mean",
    "intensity_min",
    "intensity_std",
    "orientation",
    "perimeter",
    "perimeter_crofton",
    "solidity",
)
"""Twenty properties of scikit-image, 24 columns: every one that ours share, and those that come with them."""


def hover_maps(labels: NDArray[np.int32]) -> NDArray[np.float32]:
    """Return the maps that a HoVer-Net without error would give: (3, Y, X) foreground, horizontal, vertical."""
    maps = np.zeros((3, *labels.shape), np.float32)
    maps[0] = labels > 0
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        if box is None:
            continue
        inside = labels[box] == number
        y, x = np.nonzero(inside)
        for plane, place in ((1, x), (2, y)):
            away = place - place.mean()
            for side in (away < 0, away > 0):
                if side.any():
                    away[side] /= np.abs(away[side]).max()
            maps[plane][box][inside] = away
    return maps


def hover_labels(maps: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return (Y, X) labels from the three maps."""
    blobs, _ = ndimage.label(maps[0] >= 0.5)
    blobs = remove_small_objects(blobs, max_size=9) > 0
    overall = np.maximum(*(1.0 - _unit(cv2.Sobel(_unit(plane), cv2.CV_64F, *axis, ksize=21)) for plane, axis in (
        (maps[1], (1, 0)), (maps[2], (0, 1))
    )))  # fmt: skip
    overall = np.clip(overall - (1 - blobs), 0.0, None)
    distance = -cv2.GaussianBlur((1.0 - overall) * blobs, (3, 3), 0)
    marker = np.clip(blobs.astype(np.int32) - (overall >= 0.4), 0, None)
    marker = ndimage.binary_fill_holes(marker).astype(np.uint8)
    marker = cv2.morphologyEx(marker, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)))
    markers = remove_small_objects(ndimage.label(marker)[0], max_size=9)
    return watershed(distance, markers=markers, mask=blobs).astype(np.int32)


def instance_table(labels: NDArray[np.int32]) -> list[NDArray[np.float64]]:
    """Do what the published code does for each instance, over the whole frame: mask, box, outline, middle."""
    found = []
    for number in np.unique(labels)[1:]:
        mask = labels == number
        rows, columns = np.any(mask, axis=1).nonzero()[0], np.any(mask, axis=0).nonzero()[0]
        part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.uint8)
        moments = cv2.moments(part)
        cv2.findContours(part, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
        middle = np.array([moments["m10"], moments["m01"]]) / moments["m00"]
        found.append(middle + np.array([columns[0], rows[0]]))
    return found


def property_table(labels: NDArray[np.int32], pixels: NDArray[np.generic]) -> dict[str, NDArray[np.float64]]:
    """Return scikit-image's table."""
    table: dict[str, NDArray[np.float64]] = regionprops_table(labels, pixels, properties=PROPERTIES)
    return table


def _unit(plane: NDArray[np.generic]) -> NDArray[np.float64]:
    low, high = plane.min(), plane.max()
    scaled: NDArray[np.float64] = ((plane - low) / max(high - low, 1e-12)).astype(np.float64)
    return scaled
