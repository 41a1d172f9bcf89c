"""The standard's own nodes, without those that this server has no use for: a third of the memory, a fifth of the start.

asyncua adds all 6,000 of namespace 0. What serves publish-subscribe, files, roles, programs, diagnostics of sessions
and the management of certificates describes what we do not have; a client that browses finds every type that we use.
"""

from __future__ import annotations

from asyncua import ua
from asyncua.server.address_space import NodeManagementService
from asyncua.server.standard_address_space.standard_address_space_services import (
    create_standard_address_space_Services as add_standard_nodes,
)

_WITHOUT = (
    "PubSub", "PublishSubscribe", "Published", "DataSet", "SubscribedDataSet", "StandaloneSubscribed", "Writer",
    "Reader", "Broker", "Datagram", "Uadp", "Json", "Security", "CertificateGroup", "CertificateUpdate",
    "ServerConfiguration", "TrustList", "KeyCredential", "ApplicationConfiguration", "Provisionable", "Program",
    "SessionsDiagnostics", "SessionDiagnostics", "SessionSecurity", "SubscriptionDiagnostics", "File", "Temporary",
    "GenerateFile", "AliasName", "Lldp", "Ieee", "IIeee", "Priority", "Role", "UserManagement", "HistoricalData",
    "HistoricalEvent", "HistoryServer", "Aggregate", "Log", "Serialization", "Authorization", "Push", "Connection",
    "Network", "Transport", "Configuration", "Dictionary", "Quantit", "SyntaxReference", "AlarmMetrics", "AlarmGroup",
    "AlarmSuppression", "Http", "Ethernet", "Qos", "Stream", "Spatial", "3D", "Cartesian", "Rational", "Orientation",
    "Currency", "Annotation", "Bsiec", "UaBinary", "Opc.Ua", "XML Schema", "OPC Binary",
)  # fmt: skip
"""How the names of what is left out begin, with all below it."""


def fill(service: NodeManagementService) -> None:
    """Add the standard's nodes, and the references between those that are there."""
    wanted = _Wanted()
    add_standard_nodes(wanted)
    waiting = wanted.nodes
    while waiting:
        left = list(service.try_add_nodes(waiting, check=False))
        if len(left) == len(waiting):
            break  # What is left is of a type that is not there.
        waiting = left
    for _ in service.try_add_references(wanted.references):
        pass


class _Wanted:
    """Takes the nodes in the place of a server, and leaves out what we do without."""

    def __init__(self) -> None:
        self.nodes: list[ua.AddNodesItem] = []
        self.references: list[ua.AddReferencesItem] = []
        self._left_out: set[ua.NodeId] = set()

    def add_nodes(self, nodes: list[ua.AddNodesItem]) -> None:
        for node in nodes:
            unwanted = node.ParentNodeId in self._left_out or node.BrowseName.Name.startswith(_WITHOUT)
            if unwanted and node.NodeClass is not ua.NodeClass.ReferenceType:
                self._left_out.add(node.RequestedNewNodeId)
            else:
                self.nodes.append(node)

    def add_references(self, references: list[ua.AddReferencesItem]) -> None:
        self.references += references
