"""`python -m gateway`: open the door, or say in one line why not."""

import asyncio
import sys

from gateway.errors import StartRefused
from gateway.main import check, create_gateway
from gateway.settings import GatewaySettings
from shared.logs import configure_logs
from shared.process import serve, settings_or_exit
from shared.settings import SettingsMissing

settings = settings_or_exit(GatewaySettings)
configure_logs("gateway", level=settings.log_level)
try:
    asyncio.run(check(settings))  # here and not in the server, which would wrap the reason in a traceback
except (StartRefused, SettingsMissing) as reason:
    sys.exit(str(reason))
serve(create_gateway(settings), host=settings.host, port=settings.port, metrics_port=settings.metrics_port)
