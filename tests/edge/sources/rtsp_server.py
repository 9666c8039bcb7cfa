"""A real RTSP server with a password, by GStreamer, for tests. Run by Debian's own python3, which has ``gi``.

On the first of the two ports it prints lie ``/open`` and ``/sound``, the latter without a picture; on the second
``/closed``, for ``viewer`` with ``secret``. Ends when its standard input is closed.
"""

import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

PICTURE = (
    "( videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=20/1"
    " ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=20 ! rtph264pay name=pay0 config-interval=1 )"
)
SOUND = "( audiotestsrc is-live=true ! mulawenc ! rtppcmupay name=pay0 )"


def serve(streams: dict[str, str], password: bool) -> "GstRtspServer.RTSPServer":
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service("0")
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("viewer", "media.factory.access", True)
    permissions.add_permission_for_role("viewer", "media.factory.construct", True)
    if password:
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "viewer")
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic("viewer", "secret"), token)
        server.set_auth(auth)
    for path, launch in streams.items():
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(launch)
        factory.set_shared(True)
        if password:
            factory.set_permissions(permissions)
        server.get_mount_points().add_factory(path, factory)
    server.attach(None)
    return server


def main() -> None:
    Gst.init(None)
    anyone = serve({"/open": PICTURE, "/sound": SOUND}, password=False)
    viewer = serve({"/closed": PICTURE}, password=True)
    print(anyone.get_bound_port(), viewer.get_bound_port(), flush=True)
    loop = GLib.MainLoop()
    threading.Thread(target=lambda: (sys.stdin.read(), loop.quit()), daemon=True).start()
    loop.run()


main()
