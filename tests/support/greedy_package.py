"""A package that sets OpenCV's threads when it is imported, as some vision packages do."""

import cv2

cv2.setNumThreads(4)
