"""The MQTT client of a box: paho's, which can be told by which interface to connect."""

import socket

import paho.mqtt.client as mqtt

from edge.interfaces import connect


class Client(mqtt.Client):
    """Connects by ``interface``; the system chooses where it is empty."""

    interface = ""

    def _create_socket_connection(self) -> socket.socket:
        return connect((self._host, self._port), self.interface, self.connect_timeout)
