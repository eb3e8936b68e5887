# SPDX-License-Identifier: Apache-2.0
"""Accounts over the emulator's file of users, and what their roles let do."""
