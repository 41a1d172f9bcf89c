// node-opcua's server as a peer, told what to do by lines of JSON on its standard input, as ../opcua_server.py.
//
//     node opcua_server.js PORT FOLDER     FOLDER holds certificate.pem, key.pem and trusted/*.der; it keeps its lists there
"use strict";

const fs = require("fs");
const path = require("path");
const readline = require("readline");
const { OPCUAServer } = require("node-opcua-server");
const { OPCUACertificateManager } = require("node-opcua-certificate-manager");
const { DataType, VariantArrayType } = require("node-opcua-variant");
const { coerceStatusCode } = require("node-opcua-status-code");
const { nodesets } = require("node-opcua-nodesets");

const [port, folder] = [Number(process.argv[2]), process.argv[3]];
const URI = "urn:babbitt:test:plant";
const STEP_MS = 20;
const nodes = {};
let most = 0;
let counting = null;
let counted = 0;

async function main() {
    const manager = new OPCUACertificateManager({
        rootFolder: path.join(folder, "node-pki"), automaticallyAcceptUnknownCertificate: false,
    });
    await manager.initialize();
    for (const name of fs.readdirSync(path.join(folder, "trusted"))) {
        await manager.trustCertificate(fs.readFileSync(path.join(folder, "trusted", name)));
    }
    const server = new OPCUAServer({
        nodesets: [nodesets.standard, path.join(__dirname, "opcua_types.xml")],
        port, hostname: "127.0.0.1", alternateHostname: ["127.0.0.1"],
        certificateFile: path.join(folder, "certificate.pem"), privateKeyFile: path.join(folder, "key.pem"),
        serverCertificateManager: manager, serverInfo: { applicationUri: "urn:babbitt:test:server" },
        userManager: { isValidUser: (name, password) => name === "operator" && password === "correct horse" },
        allowAnonymous: true, maxConnectionsPerEndpoint: 50, serverCapabilities: { maxSessions: 20 },
    });
    await server.initialize();
    fill(server.engine.addressSpace);
    server.on("create_session", () => { most = Math.max(most, server.engine.currentSessionCount); });
    await server.start();
    say({ ready: port });
    for await (const line of readline.createInterface({ input: process.stdin })) {
        say({ done: await obey(server, JSON.parse(line)) });
    }
    process.exit(0);
}

function fill(space) {
    const namespace = space.registerNamespace(URI);
    const motor = namespace.addObject({ organizedBy: space.rootFolder.objects, browseName: "Motor1", nodeId: "s=Motor1" });
    const add = (name, dataType, value, more = {}) => {
        nodes[name] = namespace.addVariable({
            componentOf: motor, browseName: name, nodeId: `s=Motor1.${name}`, dataType, minimumSamplingInterval: 0, ...more,
        });
        nodes[name].setValueFromSource({ dataType: DataType[dataType], value, ...(more.variant || {}) });
    };
    add("Temp", "Double", 21.5);
    add("Count", "Int32", 0);
    add("Run", "Boolean", true);
    add("Name", "String", "pump");
    add("Still", "Double", 7.0);
    add("Levels", "Double", new Float64Array([1, 2, 3]), { valueRank: 1, variant: { arrayType: VariantArrayType.Array } });
    structure(space, namespace, motor);
}

function structure(space, namespace, motor) {
    const dataType = space.findDataType("State", space.getNamespaceIndex("urn:babbitt:test:types"));
    const state = space.constructExtensionObject(dataType, {
        speed: 1, note: "fine", loads: [0.5, 0.25], bearing: { wear: 0.125 }, bearings: [{ wear: 1 }, { wear: 2 }],
    });
    nodes.State = namespace.addVariable({
        componentOf: motor, browseName: "State", nodeId: "s=Motor1.State", dataType, minimumSamplingInterval: 0,
    });
    nodes.State.setValueFromSource({ dataType: DataType.ExtensionObject, value: state });
}

async function obey(server, told) {
    if (told.set) {
        const status = coerceStatusCode(told.status || 0);
        const dataType = nodes[told.set].readValue().value.dataType;
        nodes[told.set].setValueFromSource({ dataType, value: told.value }, status, told.at ? new Date(told.at) : new Date());
        return null;
    }
    if (told.ask === "sessions") {
        if (told.anew) most = server.engine.currentSessionCount;
        return { now: server.engine.currentSessionCount, opened: server.engine.cumulatedSessionCount, most };
    }
    if (told.ask === "count") return { count: counted };
    if (told.count_every_ms) {
        counted = 0;
        countUp(told.count_every_ms / STEP_MS, told.count_every_ms / STEP_MS);
        return null;
    }
    if (told.stop_counting) {
        clearTimeout(counting);
        return { count: counted };
    }
    throw new Error(JSON.stringify(told));
}

// In steps, so that while the machine stands still one of them passes at most: each count lasts until it was sampled.
function countUp(steps, left) {
    counting = setTimeout(() => {
        if (left <= 1) nodes.Count.setValueFromSource({ dataType: DataType.Int32, value: ++counted });
        countUp(steps, left <= 1 ? steps : left - 1);
    }, STEP_MS);
}

function say(what) {
    process.stdout.write(`${JSON.stringify(what)}\n`);
}

main().catch((error) => { console.error(error); process.exit(1); });
