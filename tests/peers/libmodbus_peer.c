/* A Modbus server by libmodbus, foreign to the project: `libmodbus_peer tcp 0` or `libmodbus_peer rtu DEVICE BAUD UNIT`.
 * Reads what it holds from standard input ("function address value" a line, "." ends), prints its port, and serves
 * until it is killed or its parent dies. */
#include <arpa/inet.h>
#include <errno.h>
#include <modbus/modbus.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define HELD 2000

static modbus_mapping_t *read_image(void) {
    modbus_mapping_t *map = modbus_mapping_new(HELD, HELD, HELD, HELD);
    int function, address, value;
    while (map && scanf("%d %d %d", &function, &address, &value) == 3) {
        switch (function) {
        case 1: map->tab_bits[address] = value; break;
        case 2: map->tab_input_bits[address] = value; break;
        case 3: map->tab_registers[address] = value; break;
        case 4: map->tab_input_registers[address] = value; break;
        }
    }
    return map;
}

static void serve(modbus_t *ctx, modbus_mapping_t *map, int until_closed) {
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    /* A wire on a busy machine may stand still amid a frame. */
    modbus_set_byte_timeout(ctx, 30, 0);
    for (;;) {
        int n = modbus_receive(ctx, query);
        if (n > 0)
            modbus_reply(ctx, query, n, map);
        else if (n < 0 && until_closed)
            return;
    }
}

int main(int argc, char **argv) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    modbus_mapping_t *map = read_image();
    if (!map || argc < 3)
        return 2;
    if (strcmp(argv[1], "tcp") == 0) {
        modbus_t *ctx = modbus_new_tcp("127.0.0.1", atoi(argv[2]));
        int listener = modbus_tcp_listen(ctx, 1);
        struct sockaddr_in name;
        socklen_t size = sizeof name;
        if (listener < 0 || getsockname(listener, (struct sockaddr *)&name, &size) < 0)
            return 3;
        printf("%d\n", ntohs(name.sin_port));
        fflush(stdout);
        while (modbus_tcp_accept(ctx, &listener) >= 0) {
            serve(ctx, map, 1);
            modbus_close(ctx);
        }
        return 4;
    }
    if (argc < 5)
        return 2;
    modbus_t *ctx = modbus_new_rtu(argv[2], atoi(argv[3]), 'N', 8, 1);
    if (!ctx || modbus_set_slave(ctx, atoi(argv[4])) < 0 || modbus_connect(ctx) < 0) {
        fprintf(stderr, "%s\n", modbus_strerror(errno));
        return 3;
    }
    printf("0\n");
    fflush(stdout);
    serve(ctx, map, 0);
}
