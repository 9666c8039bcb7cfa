"""Why a broker's certificate is not taken, in words: box and cloud say the same of the same broker."""

import ssl
from typing import Final

_EXPIRED: Final = 10
_OTHER_NAME: Final = (62, 64)
"""X509_V_ERR_CERT_HAS_EXPIRED, …_HOSTNAME_MISMATCH, …_IP_ADDRESS_MISMATCH (OpenSSL, X509_STORE_CTX_get_error(3))."""


def explain(error: ssl.SSLCertVerificationError, machine: str, setting: str) -> str:
    """What is wrong with it, and the way out.

    Args:
        machine: whose clock may be at fault: ``this box``.
        setting: what names the certificates to trust.
    """
    if error.verify_code == _EXPIRED:
        return f"its certificate has expired; renew it, or set {machine}'s clock"
    if error.verify_code in _OTHER_NAME:
        return f"its certificate is another's: {error.verify_message}; name the broker as its certificate does"
    return f"its certificate is not trusted: {error.verify_message}; name its issuer's with {setting}"
