// An OPC UA client that is neither ours nor asyncua: node opcua_client.js URL CERTIFICATE KEY MODE USER PASSWORD
// It prints one JSON line for each thing that it found; for an alarm it waits, and acknowledges it.
"use strict";
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const {
  AttributeIds, ClientSubscription, ClientMonitoredItem, DataType, MessageSecurityMode, OPCUAClient,
  SecurityPolicy, TimestampsToReturn, UserTokenType, Variant, constructEventFilter, ofType,
} = require("node-opcua-client");
const { OPCUACertificateManager } = require("node-opcua-certificate-manager");

const [url, certificateFile, privateKeyFile, mode, userName, password] = process.argv.slice(2);
const say = (found) => process.stdout.write(`@${JSON.stringify(found)}\n`); // node-opcua prints its own words there too

async function main() {
  const rootFolder = fs.mkdtempSync(path.join(os.tmpdir(), "babbitt-node-opcua-"));
  const clientCertificateManager = new OPCUACertificateManager({ rootFolder, automaticallyAcceptUnknownCertificate: true });
  await clientCertificateManager.initialize();
  const client = OPCUAClient.create({
    applicationUri: "urn:tests:client", certificateFile, privateKeyFile, clientCertificateManager, endpointMustExist: false,
    securityMode: MessageSecurityMode[mode], clientName: "node-opcua",
    securityPolicy: mode === "None" ? SecurityPolicy.None : SecurityPolicy.Basic256Sha256,
    connectionStrategy: { maxRetry: 0 }, requestedSessionTimeout: 30000,
  });
  try {
    await client.connect(url);
    const session = await client.createSession(
      userName ? { type: UserTokenType.UserName, userName, password } : { type: UserTokenType.Anonymous });
    await look(session);
    await watch(session);
    await session.close();
  } catch (error) {
    say({ refused: String(error.message).split("\n")[0] });
  } finally {
    await client.disconnect();
    fs.rmSync(rootFolder, { recursive: true, force: true });
  }
}

async function look(session) {
  const assets = await session.browse("ns=2;s=Assets");
  say({ assets: assets.references.map((reference) => reference.browseName.name) });
  const tags = await session.browse("ns=2;s=Assets/tank-1");
  say({ tags: tags.references.map((reference) => reference.browseName.name) });
  const level = await session.read({ nodeId: "ns=2;s=Assets/tank-1/level_m", attributeId: AttributeIds.Value });
  say({ value: level.value.value, status: level.statusCode.name, source: level.sourceTimestamp });
  const unit = await session.read({ nodeId: "ns=2;s=Assets/tank-1/level_m/EngineeringUnits", attributeId: AttributeIds.Value });
  say({ unit: unit.value.value.displayName.text });
  const written = await session.write({
    nodeId: "ns=2;s=Assets/tank-1/level_m", attributeId: AttributeIds.Value,
    value: { value: new Variant({ dataType: DataType.Double, value: 9 }) },
  });
  say({ written: written.name });
}

async function watch(session) {
  const subscription = await session.createSubscription2({
    requestedPublishingInterval: 100, requestedLifetimeCount: 1000, requestedMaxKeepAliveCount: 20, publishingEnabled: true,
  });
  const values = ClientMonitoredItem.create(
    subscription, { nodeId: "ns=2;s=Assets/tank-1/level_m", attributeId: AttributeIds.Value },
    { samplingInterval: 0, queueSize: 10 }, TimestampsToReturn.Both);
  values.on("changed", (found) => say({ changed: found.value.value, status: found.statusCode.name }));
  const fields = ["EventId", "EventType", "ConditionName", "Message", "Severity", "Retain", "ActiveState.Id", "AckedState.Id"];
  const filter = constructEventFilter([...fields, "ConditionId"], ofType("AlarmConditionType"));
  const events = ClientMonitoredItem.create(
    subscription, { nodeId: "i=2253", attributeId: AttributeIds.EventNotifier }, { queueSize: 100, filter }, TimestampsToReturn.Both);
  await new Promise((done, failed) => {
    events.on("err", (message) => failed(new Error(message)));
    events.on("initialized", () => say({ listening: true }));
    events.on("changed", async (found) => {
      const [eventId, type, name, message, severity, retain, active, acked, condition] = found.map((field) => field.value);
      say({
        alarm: name, type: type.value, message: message.text, severity, retain, active, acked,
        condition: condition && condition.toString(),
      });
      if (active && !acked) {
        try {
          const status = await session.acknowledgeCondition(condition, eventId, "seen");
          say({ acknowledged: status.name });
        } catch (error) {
          done(say({ acknowledged: String(error.message) }));
        }
      } else if (acked) {
        done();
      }
    });
  });
  await subscription.terminate();
}

main();
