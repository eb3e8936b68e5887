# SPDX-License-Identifier: Apache-2.0
"""
Log messages as JSON.

Owns how those of the whole process are written then: each is one line on
standard error, and those of the plugin that tell of each task are among them.
"""

import logging
import re
from typing import Any

import flask
from flask.logging import default_handler
from pythonjsonlogger.json import JsonFormatter

_FIELDS = '%(levelname)s %(name)s %(process)d %(message)s'
_NAMES = {'levelname': 'level', 'name': 'logger', 'exc_info': 'exception'}
# Werkzeug colours its lines wherever they go.
_COLOURS = re.compile(r'\x1b\[[0-9;]*m')


class _Formatter(JsonFormatter):
    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        log_data['message'] = _COLOURS.sub('', str(log_data['message']))
        return super().process_log_record(log_data)


def install(app: flask.Flask) -> None:
    """Write the messages of this process, of *app* too, as JSON."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        _Formatter(_FIELDS, rename_fields=_NAMES, timestamp='time')
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Each of these would write its messages once more, as text.
    app.logger.removeHandler(default_handler)
    logging.getLogger('werkzeug').handlers.clear()
    ours = logging.getLogger('hawkfish_plugin')
    if ours.level == logging.NOTSET:
        ours.setLevel(logging.INFO)
