"""Descriptors: ten thousand calls at a time need more than shells allow by default."""

from __future__ import annotations

import resource

WANTED = 20_000


def raise_descriptor_limit() -> int:
    """Lets this process and its children open WANTED files, or as many as they may.

    Returns how many that is.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < WANTED:
        try:  # root may
            resource.setrlimit(resource.RLIMIT_NOFILE, (WANTED, WANTED))
            return WANTED
        except (ValueError, OSError):
            pass
    allowed = WANTED if hard == resource.RLIM_INFINITY else min(hard, WANTED)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))
    return max(soft, allowed)
