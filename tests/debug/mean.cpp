// Text of a kernel.
double mean(View<const double, 1> values) {
    double sum = 0;
    for (int i = 0; i < values.extent(0); ++i) {
        const double next = values(i);
        sum += next;
    }
    return sum / values.extent(0);
}
