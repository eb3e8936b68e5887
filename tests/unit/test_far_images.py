# SPDX-License-Identifier: Apache-2.0
"""Images that stand on files of another directory, in the database."""

from hawkfish_plugin import db
from hawkfish_plugin.drivers.sharing import FarImage
from hawkfish_plugin.far_images import FarImages

ONE = FarImage('/srv/clones/a.qcow2', '/images/base.qcow2', 7)
OTHER = ONE._replace(path='/srv/clones/b.qcow2')


def test_they_outlive_the_process(tmp_path):
    """What was noted last is there, and what was forgotten is not."""
    images = FarImages(db.Database(tmp_path / 'state'))
    later = ONE._replace(base='/images/other.qcow2', missed=8)
    images.change([ONE, OTHER], [])
    images.change([later], [OTHER])

    again = FarImages(db.Database(tmp_path / 'state'))

    assert again.all() == [later]
