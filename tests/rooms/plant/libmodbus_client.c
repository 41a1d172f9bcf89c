/* Reads registers with libmodbus, an implementation that is neither ours nor pymodbus', and prints them.
 *
 * libmodbus_client tcp HOST PORT UNIT FUNCTION ADDRESS COUNT REPEAT
 * libmodbus_client rtu DEVICE BAUD UNIT FUNCTION ADDRESS COUNT REPEAT
 *
 * One line for each read: its registers or bits, or "error" and errno's words.
 */
#include <errno.h>
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_once(modbus_t *bus, int function, int address, int count) {
    uint16_t registers[MODBUS_MAX_READ_REGISTERS];
    uint8_t bits[MODBUS_MAX_READ_BITS];
    int got, i;

    switch (function) {
    case 1: got = modbus_read_bits(bus, address, count, bits); break;
    case 2: got = modbus_read_input_bits(bus, address, count, bits); break;
    case 3: got = modbus_read_registers(bus, address, count, registers); break;
    default: got = modbus_read_input_registers(bus, address, count, registers); break;
    }
    if (got < 0) {
        printf("error %s\n", modbus_strerror(errno));
        return 1;
    }
    for (i = 0; i < got; i++)
        printf(i + 1 < got ? "%d " : "%d\n", function < 3 ? bits[i] : registers[i]);
    return 0;
}

int main(int argc, char **argv) {
    modbus_t *bus;
    int failed = 0, i, repeat;

    if (argc != 9)
        return 2;
    if (strcmp(argv[1], "tcp") == 0)
        bus = modbus_new_tcp(argv[2], atoi(argv[3]));
    else
        bus = modbus_new_rtu(argv[2], atoi(argv[3]), 'N', 8, 1);
    if (bus == NULL || modbus_set_slave(bus, atoi(argv[4])) != 0 || modbus_connect(bus) != 0) {
        fprintf(stderr, "cannot connect: %s\n", modbus_strerror(errno));
        return 2;
    }
    /* A busy machine may stand still amid a frame. */
    modbus_set_response_timeout(bus, 30, 0);
    modbus_set_byte_timeout(bus, 30, 0);
    repeat = atoi(argv[8]);
    for (i = 0; i < repeat; i++)
        failed += read_once(bus, atoi(argv[5]), atoi(argv[6]), atoi(argv[7]));
    modbus_close(bus);
    modbus_free(bus);
    return failed ? 1 : 0;
}
