# SPDX-License-Identifier: Apache-2.0
"""Images that stand on files of another directory, in the database."""

from hawkfish_plugin import db
from hawkfish_plugin.drivers.sharing import FarImage
from hawkfish_plugin.far_images import FarImages

ONE = FarImage('/srv/clones/a.qcow2', '/images/base.qcow2', 7)
OTHER = ONE._replace(base='/images/other.qcow2')


def test_they_outlive_the_process(tmp_path):
    """What was noted is there, once, and what was forgotten is not."""
    images = FarImages(db.Database(tmp_path / 'state'))
    images.change([ONE, OTHER], [])
    images.change([ONE._replace(seen=8)], [OTHER])

    again = FarImages(db.Database(tmp_path / 'state'))

    assert again.all() == [ONE._replace(seen=8)]
